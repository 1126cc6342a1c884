// What was just emitted, newest first: a page when it starts, then the event stream.

import { call } from "./api.js";
import { byId, make, write } from "./dom.js";
import { summary } from "./tasks.js";
import { full, lateness, ofDay } from "./time.js";

const FIRST = 20;
const MOST = 100;
const NEWEST = "9223372036854775807"; // a position that no log reaches

/** The emitted tasks that are shown. */
export class EmittedList {
  #items = new Map(); // by their number in the log
  #waiting = [];
  #asked = 0; // counts questions, so that the answer to an old one is dropped
  #late;
  #list = byId("emitted");

  /** `late(envelope)` returns the milliseconds that a task was late, or null where nobody knows. */
  constructor({ late }) {
    this.#late = late;
  }

  /** Show what was before this position, from which the stream goes on; without one, the newest. Returns it. */
  async load(position = Infinity) {
    const asked = ++this.#asked;
    const before = position === Infinity ? NEWEST : position + 1;
    const { events } = await call("GET", "events", { query: { before, limit: FIRST } });
    if (asked !== this.#asked) {
      return [];
    }
    const oldest = events.length ? Number(events[0].id) : position + 1;
    for (const number of this.#items.keys()) {
      if (number > position || number < oldest) {
        this.#drop(number); // of a log that is gone, or with a gap before what is shown now
      }
    }
    events.forEach((envelope) => this.add(envelope));
    return events;
  }

  add(envelope) {
    if (this.#waiting.length === 0) {
      requestAnimationFrame(() => this.#draw());
      setTimeout(() => this.#draw(), 1000); // a hidden page has no frames
    }
    this.#waiting.push(envelope);
    this.#waiting.splice(0, this.#waiting.length - MOST);
  }

  /** Show how late tasks were, where that became known. */
  annotate() {
    for (const { envelope, late } of this.#items.values()) {
      write(late, this.#words(envelope));
    }
  }

  clear() {
    this.#asked += 1;
    this.#waiting = [];
    [...this.#items.keys()].forEach((number) => this.#drop(number));
  }

  #draw() {
    for (const envelope of this.#waiting.splice(0)) {
      const number = Number(envelope.id);
      if (!this.#items.has(number)) {
        const made = this.#itemOf(envelope);
        this.#items.set(number, made);
        const older = [...this.#list.children].find((item) => Number(item.dataset.number) < number);
        this.#list.insertBefore(made.item, older ?? null);
      }
    }
    while (this.#items.size > MOST) {
      this.#drop(Math.min(...this.#items.keys()));
    }
    byId("emitted-empty").hidden = this.#items.size > 0;
  }

  #drop(number) {
    this.#items.get(number).item.remove();
    this.#items.delete(number);
    byId("emitted-empty").hidden = this.#items.size > 0;
  }

  #itemOf(envelope) {
    const { id, ts } = envelope.metadata;
    const late = make("span", { class: "late muted" }, this.#words(envelope));
    const item = make("li", { "data-number": envelope.id, "data-id": id },
      make("time", { datetime: new Date(ts).toISOString(), title: full(ts) }, ofDay(ts, { seconds: true })),
      late,
      make("div", { class: "what" }, make("a", { href: `#task=${id}` }, summary(envelope.event.message))));
    return { envelope, item, late };
  }

  #words(envelope) {
    const ms = this.#late(envelope);
    return ms === null ? "" : `${lateness(ms)} late`;
  }
}
