// The load by minute: what is due in the next half hour, what was emitted in the last, and how late.

import { call } from "./api.js";
import * as clock from "./clock.js";

export const MINUTES = 30;
const MINUTE = 60_000;
const LIMIT = 1000;
const MOST_PAGES = 5;
const MOST_IDS = 2000; // of a minute that are told apart; beyond it, each event counts
const INTERVAL_MS = 30_000;

/** Counts what is due and what was emitted, by the minute. */
export class Load {
  #ahead = { counts: new Map(), more: false };
  #behind = new Map(); // minute -> {ids, count, late: Map(id -> ms)}
  #more = false;
  #nextMs = 0;
  #lookedMs = null;
  #looking = false;

  /** Look again if it is time to; the more there is to look at, the less often. Returns whether it did. */
  async refresh() {
    if (this.#looking || performance.now() < this.#nextMs) {
      return false;
    }
    this.#looking = true;
    this.#nextMs = performance.now() + INTERVAL_MS;
    try {
      const now = clock.now();
      const [ahead] = await Promise.all([
        pages("scheduled", now - MINUTE, now + MINUTES * MINUTE), this.#lookBehind(now),
      ]);
      this.#count(ahead);
      this.#nextMs += INTERVAL_MS * (ahead.pages - 1);
    } finally {
      this.#looking = false;
    }
    return true;
  }

  /** Look at what is due again next time, without waiting. */
  expire() {
    this.#nextMs = 0;
  }

  /** Look at everything again next time. */
  startOver() {
    this.expire();
    this.#lookedMs = null;
  }

  clear() {
    this.#ahead = { counts: new Map(), more: false };
    this.#behind.clear();
    this.startOver();
  }

  /** An event came, and is due no more: `late` is null where nobody knows it. */
  emitted(id, emittedMs, late) {
    const minute = Math.floor((emittedMs - (late ?? 0)) / MINUTE);
    const counts = this.#ahead.counts;
    if (counts.get(minute) > 0 && !this.#behind.get(Math.floor(emittedMs / MINUTE))?.ids.has(id)) {
      counts.set(minute, counts.get(minute) - 1);
    }
    this.#add(id, emittedMs, late);
  }

  #add(id, emittedMs, late) {
    const minute = Math.floor(emittedMs / MINUTE);
    const bin = this.#behind.get(minute) ?? { ids: new Set(), count: 0, late: new Map() };
    this.#behind.set(minute, bin);
    if (!bin.ids.has(id)) {
      bin.count += 1;
      if (bin.ids.size < MOST_IDS) {
        bin.ids.add(id);
      }
    }
    if (late !== null && bin.ids.has(id)) {
      bin.late.set(id, Math.max(late, 0));
    }
  }

  /** How late a task was, or null. */
  lateness(id, emittedMs) {
    return this.#behind.get(Math.floor(emittedMs / MINUTE))?.late.get(id) ?? null;
  }

  /** The minutes from half an hour ago to half an hour ahead: {minute, past, count, median, most}. */
  minutes() {
    const current = Math.floor(clock.now() / MINUTE);
    for (const minute of [...this.#behind.keys()].filter((each) => each <= current - MINUTES)) {
      this.#behind.delete(minute);
    }
    const past = range(current - MINUTES + 1).map((minute) => {
      const bin = this.#behind.get(minute);
      const late = [...(bin?.late.values() ?? [])].sort((one, other) => one - other);
      return { minute, past: true, count: bin?.count ?? 0, late };
    });
    const next = range(current).map((minute) => (
      { minute, past: false, count: this.#ahead.counts.get(minute) ?? 0, late: [] }));
    return { past, next, moreAhead: this.#ahead.more, moreBehind: this.#more };
  }

  #count({ tasks, more }) {
    const counts = new Map();
    const current = Math.floor(clock.now() / MINUTE);
    for (const { timestamp } of tasks) {
      const minute = Math.max(Math.floor(Date.parse(timestamp) / MINUTE), current); // what is overdue is due now
      counts.set(minute, (counts.get(minute) ?? 0) + 1);
    }
    this.#ahead = { counts, more };
  }

  async #lookBehind(now) {
    const from = Math.max(now - MINUTES * MINUTE, (this.#lookedMs ?? 0) - 2 * MINUTE);
    const { tasks, more } = await pages("emitted", from, now + MINUTE, this.#lookedMs === null ? MOST_PAGES : 1);
    if (this.#lookedMs === null) {
      this.#more = more;
    }
    this.#lookedMs = now;
    for (const task of tasks) {
      const emittedMs = Date.parse(task.emitted_at);
      const due = Math.max(Date.parse(task.timestamp), Date.parse(task.created_at));
      this.#add(task.id, emittedMs, emittedMs - due);
    }
  }
}

function range(first) {
  return Array.from({ length: MINUTES }, (_, index) => first + index);
}

async function pages(status, fromMs, toMs, most = MOST_PAGES) {
  const found = { tasks: [], pages: 0, more: true };
  let cursor = null;
  while (found.more && found.pages < most) {
    const query = {
      status, from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString(), limit: LIMIT, cursor,
    };
    const page = await call("GET", "tasks", { query });
    found.tasks.push(...page.tasks.map(({ id, timestamp, created_at, emitted_at }) => (
      { id, timestamp, created_at, emitted_at })));
    found.pages += 1;
    cursor = page.cursor;
    found.more = cursor !== null;
  }
  return found;
}
