// Says whether the service answers, and when it is tried again.

import { byId, write } from "./dom.js";
import { ApiError } from "./api.js";
import { span } from "./time.js";

const WORDS = {
  starting: "Connecting", live: "Live", busy: "Not live", down: "Not connected", paused: "Paused", locked: "Locked",
};
const BUSY = "Too many people follow the events right now: this page looks every few seconds instead.";

/** What the top of the page tells of the connection. */
export class Connection {
  #state = "starting";
  #againMs = 0;

  constructor({ tryNow }) {
    byId("try-now").addEventListener("click", tryNow);
  }

  get isLive() {
    return this.#state === "live";
  }

  /** Whether the service answers, but has no room for one more who follows its events. */
  get isBusy() {
    return this.#state === "busy";
  }

  set(state) {
    this.#state = state;
    byId("state").dataset.state = state;
    write(byId("state"), WORDS[state]);
    byId("banner").hidden = !this.#isTrying;
  }

  /** The service does not answer, or not as it should; it is tried again in a while. */
  down(error, pauseMs) {
    this.#againMs = performance.now() + pauseMs;
    const busy = error instanceof ApiError && error.status === 429;
    write(byId("banner-words"), busy ? BUSY : error.message);
    this.set(busy ? "busy" : "down");
    this.tick();
  }

  /** Once a second: count down to the next try. */
  tick() {
    if (this.#isTrying) {
      const rest = Math.ceil((this.#againMs - performance.now()) / 1000);
      write(byId("banner-countdown"), rest > 0 ? `Trying again in ${span(rest * 1000)}.` : "Trying …");
    }
  }

  get #isTrying() {
    return this.#state === "down" || this.#state === "busy";
  }
}
