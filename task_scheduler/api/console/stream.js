// The event stream. EventSource cannot send the secret in a header, so this reads server-sent events by itself: an
// endless stream as well as one of long polls, each of which ends and is followed by the next.

import { open, call } from "./api.js";
import { LockedError } from "./secret.js";

const QUIET_MS = 40_000; // a comment comes every 15 s, the end of a long poll after 22 s
const PAUSES_MS = [1000, 2000, 4000, 8000, 15_000];

/** Follows what is emitted, through every interruption, each event once and in order. */
export class EventStream {
  #handlers;
  #position = null;
  #retryMs = 250;
  #running = null;
  #wake = () => {};

  /** `handlers`: position(number), event(envelope), up(), down(error, pauseMs). */
  constructor(handlers) {
    this.#handlers = handlers;
  }

  /** Follow from now on; the handler of the position can show what was before. */
  start() {
    if (this.#running === null) {
      this.#running = new AbortController();
      this.#position = null;
      this.#run(this.#running.signal);
    }
  }

  stop() {
    this.#running?.abort();
    this.#running = null;
    this.#wake();
  }

  /** End a pause now. */
  tryNow() {
    this.#wake();
  }

  async #run(signal) {
    let failures = 0;
    while (!signal.aborted) {
      const began = performance.now();
      try {
        if (failures > 0) {
          await call("GET", "health", { signal }); // answers at once, which a long poll does not
          this.#handlers.up();
        }
        const events = await this.#read(signal);
        const useful = events > 0 || performance.now() - began > 1000;
        failures = 0;
        await this.#pause(useful ? this.#retryMs : Math.max(this.#retryMs, 1000));
      } catch (error) {
        if (signal.aborted) {
          return;
        }
        if (error instanceof LockedError) {
          this.#running = null;
          return;
        }
        const pause = Math.max(PAUSES_MS[Math.min(failures, PAUSES_MS.length - 1)], error.retryAfterMs ?? 0);
        failures += 1;
        this.#handlers.down(error, pause);
        await this.#pause(pause);
      }
    }
  }

  /** Read one answer to its end; returns how many frames were in it. */
  async #read(signal) {
    const quiet = new AbortController();
    let timer;
    const rearm = () => {
      clearTimeout(timer);
      timer = setTimeout(() => quiet.abort(), QUIET_MS);
    };
    rearm();
    try {
      const response = await open("GET", "events", {
        headers: {
          accept: "text/event-stream",
          ...(this.#position === null ? {} : { "last-event-id": String(this.#position) }),
        },
        signal: AbortSignal.any([signal, quiet.signal]),
      });
      this.#handlers.up();
      return await this.#frames(response.body.getReader(), rearm);
    } catch (error) {
      if (quiet.signal.aborted && !signal.aborted) {
        return 0; // gone without a word: come back
      }
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #frames(reader, rearm) {
    const decoder = new TextDecoder();
    let text = "";
    let frame = {};
    let count = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        return count;
      }
      rearm();
      const lines = (text + decoder.decode(value, { stream: true })).split("\n");
      text = lines.pop();
      for (const line of lines.map((each) => each.replace(/\r$/, ""))) {
        if (line !== "") {
          this.#field(frame, line);
        } else if (frame.data !== undefined) {
          count += 1;
          this.#dispatch(frame);
          frame = {};
        }
      }
    }
  }

  #field(frame, line) {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "retry") {
      this.#retryMs = Number(value) || this.#retryMs;
    } else if (name === "data") {
      frame.data = frame.data === undefined ? value : `${frame.data}\n${value}`;
    } else if (name !== "") {
      frame[name] = value;
    }
  }

  #dispatch(frame) {
    const number = Number(frame.id);
    if (frame.event === "position") {
      this.#position = number;
      this.#handlers.position(number);
    } else if (frame.event === undefined && number > (this.#position ?? -1)) {
      this.#position = number;
      this.#handlers.event(JSON.parse(frame.data));
    }
  }

  #pause(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
