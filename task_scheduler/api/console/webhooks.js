// What webhooks did not accept, until somebody acknowledges it. Only the local engine has such.

import { call } from "./api.js";
import { byId, make, tell, write } from "./dom.js";
import { full, short } from "./time.js";

/** The messages that were set aside. */
export class SetAside {
  #newest = null; // when the newest that is shown was set aside
  #acknowledged;

  /** `acknowledged()` is called when what was shown has been acknowledged. */
  constructor({ acknowledged }) {
    this.#acknowledged = acknowledged;
    byId("acknowledge").addEventListener("click", () => this.#acknowledge());
  }

  async refresh() {
    const { set_aside: count, messages } = await call("GET", "webhooks");
    const isShown = messages.length > 0 && messages[0].set_aside_at === this.#newest;
    this.#newest = messages[0]?.set_aside_at ?? null;
    byId("set-aside").hidden = count === 0;
    write(byId("set-aside-count"), count > messages.length ? `the newest ${messages.length} of ${count}` : `${count}`);
    if (!isShown) {
      byId("set-aside-rows").replaceChildren(...messages.map(rowOf));
    }
  }

  clear() {
    this.#newest = null;
    byId("set-aside").hidden = true;
    byId("set-aside-rows").replaceChildren();
    tell(byId("set-aside-problem"), null);
  }

  /** Acknowledge what is shown and what is older; what came since then stays. */
  async #acknowledge() {
    const button = byId("acknowledge");
    button.disabled = true;
    try {
      tell(byId("set-aside-problem"), null);
      await call("POST", "webhooks/acknowledge", { body: { until: this.#newest } });
      await this.refresh();
      await this.#acknowledged();
    } catch (error) {
      tell(byId("set-aside-problem"), error.message);
    } finally {
      button.disabled = false;
    }
  }
}

function rowOf({ id, webhook, attempts, failure, set_aside_at: time }) {
  const ms = Date.parse(time);
  const tries = attempts === 1 ? "1 attempt" : `${attempts} attempts`;
  return make("li", { "data-id": id },
    make("time", { datetime: time, title: full(ms) }, short(ms, Date.now())),
    make("div", { class: "what" }, make("a", { href: `#task=${id}` }, id)),
    make("span", { class: "muted" }, `${webhook}: ${failure}, ${tries}`));
}
