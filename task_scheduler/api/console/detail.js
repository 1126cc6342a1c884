// One task in a dialog: all of it, another time or message, and its end. Its address is #task=<id>.

import { call } from "./api.js";
import * as clock from "./clock.js";
import { byId, make, tell, write } from "./dom.js";
import { MessageFields, showProblem, WhenFields } from "./fields.js";
import { tagsOf } from "./tasks.js";
import { distance, full, lateness } from "./time.js";

const ADDRESS = /^#task=([0-9a-fA-F-]{1,80})$/;

/** The dialog. */
export class Detail {
  #dialog = byId("detail");
  #form = byId("reschedule");
  #changed;
  #task = null;
  #id = null;
  #when;
  #message;
  #countdown = null;

  /** `changed(task)` is called when this page has changed a task. */
  constructor({ changed }) {
    this.#changed = changed;
    this.#when = new WhenFields(this.#form.querySelector("[data-fields=when]"));
    this.#message = new MessageFields(this.#form.querySelector("[data-fields=message]"));
    this.#listen();
  }

  /** Open or close as the address says. */
  async follow() {
    const id = ADDRESS.exec(location.hash)?.[1].toLowerCase() ?? null;
    if (id === this.#id) {
      return;
    }
    this.#id = id;
    if (id === null) {
      this.#dialog.close();
      return;
    }
    this.#blank();
    if (!this.#dialog.open) {
      this.#dialog.showModal();
    }
    await this.#look();
  }

  /** Look again if it is this task that something happened to. */
  async happened(id) {
    if (id === this.#id) {
      await this.#look();
    }
  }

  tick() {
    if (this.#task && this.#countdown) {
      write(this.#countdown, distance(Date.parse(this.#task.timestamp) - clock.now()));
    }
  }

  #listen() {
    byId("detail-close").addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("close", () => {
      this.#id = null;
      this.#task = null;
      byId("detail-body").replaceChildren(); // a message may be large
      if (ADDRESS.test(location.hash)) {
        history.pushState(null, "", location.pathname + location.search);
      }
      const active = document.activeElement;
      if (active === document.body || this.#dialog.contains(active)) {
        byId("coming").focus(); // the row that had the focus is gone
      }
    });
    for (const part of ["time", "message"]) {
      this.#form.elements[`change-${part}`].addEventListener("change", () => this.#unfold());
    }
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#act(() => this.#reschedule());
    });
    byId("cancel-task").addEventListener("click", () => this.#confirm(true));
    byId("keep-task").addEventListener("click", () => this.#confirm(false));
    byId("confirm-cancel").addEventListener("click", () => this.#act(() => this.#cancel()));
  }

  async #look() {
    const id = this.#id;
    try {
      const task = await call("GET", `tasks/${id}`);
      if (id === this.#id) {
        tell(byId("detail-problem"), null);
        this.#show(task);
      }
    } catch (error) {
      if (id === this.#id) {
        tell(byId("detail-problem"), error.status === 404
          ? `${error.message} A task is stored for 30 days after its end.` : error.message);
      }
    }
  }

  #blank() {
    this.#task = null;
    byId("detail-body").replaceChildren();
    tell(byId("detail-problem"), null);
    write(byId("detail-status"), "");
    write(byId("detail-heading"), "Task");
    this.#form.hidden = true;
    this.#form.reset();
    showProblem(byId("reschedule-problem"), null);
    this.#confirm(false, { focus: false });
    this.#unfold();
  }

  #show(task) {
    const first = this.#task === null;
    this.#task = task;
    write(byId("detail-heading"), `A task that is ${task.status}`);
    const held = document.activeElement;
    byId("detail-body").replaceChildren(this.#fields(task), ...texts(task));
    this.#form.hidden = task.status !== "scheduled";
    if (!held.isConnected || (this.#form.hidden && this.#form.contains(held))) {
      byId("detail-heading").focus();
    }
    if (first) {
      this.#when.propose(Date.parse(task.timestamp));
      this.#message.show(task.message);
    }
    this.tick();
  }

  #fields(task) {
    const due = Date.parse(task.timestamp);
    this.#countdown = task.status === "scheduled" ? make("span", { class: "muted" }) : null;
    const entries = [["Due", make("span", {}, moment(task.timestamp), " ", this.#countdown)]];
    for (const [name, at] of [
      ["Created", task.created_at], ["Emitted", task.emitted_at],
      ["Cancelled", task.cancelled_at], ["Failed", task.failed_at],
    ]) {
      if (at !== null) {
        entries.push([name, moment(at)]);
      }
    }
    if (task.emitted_at !== null) {
      const late = Date.parse(task.emitted_at) - Math.max(due, Date.parse(task.created_at));
      entries.push(["Lateness", lateness(late)]);
    }
    const tags = tagsOf(task);
    if (tags) {
      entries.push(["Tags", tags]);
    }
    entries.push(["Id", make("span", { class: "id" }, make("code", {}, task.id), " ", copyButton(task.id))]);
    return make("dl", {}, ...entries.map(([name, value]) => (
      make("div", {}, make("dt", {}, name), make("dd", {}, value)))));
  }

  #unfold() {
    for (const [part, fields] of [["time", "when"], ["message", "message"]]) {
      this.#form.querySelector(`[data-fields=${fields}]`).hidden = !this.#form.elements[`change-${part}`].checked;
    }
  }

  #confirm(asking, { focus = true } = {}) {
    byId("confirm").hidden = !asking;
    byId("cancel-task").hidden = asking;
    if (focus) {
      byId(asking ? "keep-task" : "cancel-task").focus();
    }
  }

  async #reschedule() {
    const { "change-time": time, "change-message": message } = this.#form.elements;
    if (!time.checked && !message.checked) {
      throw new Error("Choose what to change: the time, the message, or both.");
    }
    const body = {
      ...(time.checked ? this.#when.read() : {}),
      ...(message.checked ? { message: this.#message.read() } : {}),
    };
    const task = await call("PATCH", `tasks/${this.#id}`, { body });
    this.#form.reset();
    this.#unfold();
    this.#show(task);
    write(byId("detail-status"), `Changed: it is due ${full(Date.parse(task.timestamp))}.`);
    this.#changed(task);
  }

  async #cancel() {
    const id = this.#id;
    await call("DELETE", `tasks/${id}`);
    const task = { ...this.#task, status: "cancelled", cancelled_at: new Date(clock.now()).toISOString() };
    this.#show(task);
    write(byId("detail-status"), "Cancelled: it will not be emitted.");
    this.#changed(task);
  }

  async #act(deed) {
    const problem = byId("reschedule-problem");
    write(byId("detail-status"), "");
    try {
      showProblem(problem, null);
      await deed();
    } catch (error) {
      showProblem(problem, error);
      if (error.status === 404 || error.status === 409) {
        tell(byId("detail-problem"), error.message); // the form may be gone when it is shown as it is now
        this.#confirm(false, { focus: false });
        await this.#lookAfter(error);
      }
    }
  }

  async #lookAfter(error) {
    await this.#look();
    tell(byId("detail-problem"), error.message);
  }
}

function moment(at) {
  return make("time", { datetime: at }, full(Date.parse(at)));
}

function texts({ message, extra }) {
  const { tags, ...rest } = extra;
  const blocks = [["Message", message]];
  if (Object.keys(rest).length > 0) {
    blocks.push(["Other fields", rest]);
  }
  return blocks.map(([name, value]) => {
    const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
    const block = make("pre", { tabindex: "0", role: "region", "aria-label": name }, text);
    return make("section", {}, make("h3", {}, name), block);
  });
}

function copyButton(id) {
  const button = make("button", { type: "button", class: "quiet small", onclick: async () => {
    try {
      await navigator.clipboard.writeText(id);
      write(byId("detail-status"), "The id is copied.");
    } catch {
      getSelection().selectAllChildren(button.parentElement.querySelector("code"));
      write(byId("detail-status"), "The id is selected: copy it with your keyboard.");
    }
  } }, "Copy id");
  return button;
}
