// The list of tasks: what is coming, or what a search found; soonest first, page by page, and kept up to date.

import { call } from "./api.js";
import * as clock from "./clock.js";
import { byId, make, tell, write } from "./dom.js";
import { distance, full, short } from "./time.js";

export const COMING = Object.freeze({ status: "scheduled" });
const PAGE = 50;
const MOST = 1000; // rows; more would help nobody
const LAG_MS = 10_000; // a list on AWS may be so far behind what was written

/** A message or a task in one line. */
export function summary(message) {
  // With spaces, so that a line can end between two fields; a line break within a text is escaped in JSON.
  const text = typeof message === "string" ? message : JSON.stringify(message, null, 1).replace(/\n */g, " ");
  return text.length > 200 ? `${text.slice(0, 200)} …` : text || "(empty text)";
}

/** The tasks that are shown. */
export class TaskList {
  #query = COMING;
  #asked = 0; // counts what the viewer asked for, so that the answer to an old question is dropped
  #looked = 0; // and looks at the list again, which must not take the place of what the viewer asked for
  #tasks = new Map();
  #rows = new Map();
  #own = new Map(); // what this page knows better than a list, which may lag: {at, task or null if just emitted}
  #cursor = null;
  #list = byId("tasks");
  #drawn = true;

  get isComing() {
    return this.#query === COMING;
  }

  /** The task, where it is known here. */
  known(id) {
    return this.#tasks.get(id);
  }

  /** Show what this query finds, from its beginning. */
  async show(query) {
    this.#asked += 1;
    this.#query = query;
    this.#clear();
    try {
      await this.refresh();
    } finally {
      this.#draw();
    }
    return this.#tasks.size;
  }

  /** Look at the first page again; after `all`, at as much as is shown. */
  async refresh({ all = false } = {}) {
    const asked = this.#asked;
    const looked = ++this.#looked;
    const limit = all ? Math.min(Math.max(this.#tasks.size, PAGE), MOST) : PAGE;
    const page = await this.#ask(limit, null);
    if (asked !== this.#asked || looked !== this.#looked) {
      return;
    }
    const last = page.tasks.at(-1);
    const isCovered = (task) => page.cursor === null || (last && (before(task, last) || task.id === last.id));
    const listed = new Set(page.tasks.map(({ id }) => id));
    for (const task of [...this.#tasks.values()]) {
      if (isCovered(task) && !listed.has(task.id) && !this.#isRecent(task.id)) {
        this.#tasks.delete(task.id);
      }
    }
    const isFirstPage = [...this.#tasks.values()].every(isCovered);
    this.#add(page.tasks);
    if (isFirstPage) {
      this.#cursor = page.cursor;
    }
    tell(byId("tasks-problem"), null);
    this.#draw();
  }

  /** Show the next page. */
  async more() {
    const asked = ++this.#asked;
    const page = await this.#ask(Math.min(PAGE, MOST - this.#tasks.size), this.#cursor);
    if (asked !== this.#asked) {
      return;
    }
    const first = page.tasks.find((task) => !this.#tasks.has(task.id));
    this.#cursor = page.cursor;
    this.#add(page.tasks);
    this.#draw();
    if (byId("more").hidden && first) {
      this.#rows.get(first.id)?.link.focus();
    }
  }

  /** Show a task as it is now: scheduled, changed or ended. */
  put(task) {
    this.#own.set(task.id, { at: performance.now(), task });
    if (this.#matches(task)) {
      this.#tasks.set(task.id, task);
    } else {
      this.#tasks.delete(task.id);
    }
    this.#drawSoon();
  }

  /** A task was emitted. */
  emitted(id, emittedMs) {
    const task = this.#tasks.get(id);
    if (task) {
      this.put({ ...task, status: "emitted", emitted_at: new Date(emittedMs).toISOString() });
    } else {
      this.#own.set(id, { at: performance.now(), task: null });
    }
  }

  /** Say that there is nothing to show, and why. */
  fail(error) {
    tell(byId("tasks-problem"), error.message);
  }

  /** Show nothing: the viewer may not see it any more. */
  clear() {
    this.#asked += 1;
    this.#clear();
    this.#draw();
    tell(byId("tasks-empty"), "Nothing is shown without the secret.");
    write(byId("tasks-count"), "");
  }

  /** Once a second: count down. Only what differs is written. */
  tick() {
    const now = clock.now();
    for (const { task, moment } of this.#rows.values()) {
      write(moment, when(task, now));
    }
  }

  /** Forget which changes of this page are young, once they are not. */
  tidy() {
    for (const id of [...this.#own.keys()].filter((each) => !this.#isRecent(each))) {
      this.#own.delete(id);
    }
  }

  async #ask(limit, cursor) {
    const { id, ...query } = this.#query;
    if (id === undefined) {
      return call("GET", "tasks", { query: { ...query, limit, cursor } });
    }
    try {
      return { tasks: [await call("GET", `tasks/${id}`)], cursor: null };
    } catch (error) {
      if (error.status === 404) {
        return { tasks: [], cursor: null };
      }
      throw error;
    }
  }

  #add(tasks) {
    for (const listed of tasks) {
      const lags = listed.status === "scheduled" && this.#isRecent(listed.id);
      const task = lags ? this.#own.get(listed.id).task : listed;
      if (task && this.#matches(task) && JSON.stringify(task) !== JSON.stringify(this.#tasks.get(task.id))) {
        this.#tasks.set(task.id, task); // only what differs, so that its row is made anew
      }
    }
  }

  #isRecent(id) {
    return performance.now() - (this.#own.get(id)?.at ?? -Infinity) < LAG_MS;
  }

  #matches(task) {
    const { status, tag, from, to, id } = this.#query;
    const due = Date.parse(task.timestamp);
    const colon = tag?.indexOf(":");
    return (!status || task.status === status)
      && (!tag || task.extra.tags?.[tag.slice(0, colon)] === tag.slice(colon + 1))
      && (!from || due >= Date.parse(from))
      && (!to || due < Date.parse(to))
      && (!id || task.id === id);
  }

  #clear() {
    this.#tasks.clear();
    this.#cursor = null;
  }

  /** Draw once for all that changes until then: events come in bursts. */
  #drawSoon() {
    if (this.#drawn) {
      this.#drawn = false;
      setTimeout(() => this.#draw(), 30);
    }
  }

  /** Bring the rows in line with the tasks; a row that stays is neither touched nor moved. */
  #draw() {
    this.#drawn = true;
    const tasks = [...this.#tasks.values()].sort((one, other) => (before(one, other) ? -1 : 1)).slice(0, MOST);
    const shown = new Set(tasks.map((task) => task.id));
    this.#leave(shown);
    const focused = this.#renew(tasks.filter((task) => this.#rows.get(task.id)?.task !== task));
    let place = this.#list.firstElementChild;
    for (const { id } of tasks) {
      const { item } = this.#rows.get(id);
      if (item === place) {
        place = place.nextElementSibling;
      } else {
        this.#list.insertBefore(item, place);
      }
    }
    focused?.focus();
    this.#words(tasks.length);
  }

  /** Take away the rows of tasks that are no longer shown; the focus goes to a neighbour. */
  #leave(shown) {
    for (const [id, { item }] of [...this.#rows]) {
      if (!shown.has(id)) {
        const focused = item.contains(document.activeElement);
        const next = item.nextElementSibling ?? item.previousElementSibling;
        item.remove();
        this.#rows.delete(id);
        if (focused) {
          (next?.querySelector("a") ?? byId("coming")).focus();
        }
      }
    }
  }

  /** Make the rows of these tasks, which are new or changed; returns the link that had the focus, if one had it. */
  #renew(tasks) {
    const now = clock.now();
    let focused = null;
    for (const task of tasks) {
      const [old, row] = [this.#rows.get(task.id), rowOf(task, now)];
      if (old?.item.contains(document.activeElement)) {
        focused = row.link;
      }
      old?.item.remove();
      this.#rows.set(task.id, row);
    }
    return focused;
  }

  #words(count) {
    const most = this.#tasks.size >= MOST;
    byId("more").hidden = this.#cursor === null || most;
    tell(byId("tasks-bound"), most
      ? `The first ${MOST.toLocaleString("en")} are shown. Search by tag or time to see others.` : null);
    tell(byId("tasks-empty"), count > 0 ? null : this.#emptyWords());
    write(byId("coming"), this.isComing ? "Coming up" : "Found");
    const open = this.#cursor !== null || this.#tasks.size > MOST;
    const noun = count === 1 ? "task" : "tasks";
    const words = open ? `the first ${count.toLocaleString("en")}` : `${count} ${noun}`;
    write(byId("tasks-count"), count === 0 ? "" : words);
  }

  #emptyWords() {
    if (this.#query.id) {
      return "No task has this id. A task is stored for 30 days after its end.";
    }
    return this.isComing
      ? "Nothing is scheduled. Schedule a message with the form, and it appears here." : "No task matches.";
  }
}

/** Whether a task stands before another in the list. */
function before(one, other) {
  return one.timestamp < other.timestamp || (one.timestamp === other.timestamp && one.id < other.id);
}

function when(task, now) {
  return task.status === "scheduled" ? distance(Date.parse(task.timestamp) - now) : task.status;
}

function rowOf(task, now) {
  const due = Date.parse(task.timestamp);
  const moment = make("span", { class: "moment" }, when(task, now));
  const link = make("a", { href: `#task=${task.id}` }, summary(task.message));
  const item = make("li", { "data-status": task.status, "data-id": task.id },
    moment,
    make("div", { class: "what" }, link, tagsOf(task)),
    make("time", { datetime: task.timestamp, title: full(due) }, short(due, now)));
  return { task, item, link, moment };
}

/** A task's tags, as a list of labels, or null. */
export function tagsOf(task) {
  const tags = Object.entries(task.extra?.tags ?? {});
  return tags.length === 0 ? null : make("span", { class: "tags" },
    ...tags.map(([name, value]) => make("span", { class: "tag" }, `${name}: ${value}`)));
}
