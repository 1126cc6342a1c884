// The form that schedules a message.

import { call, newKey } from "./api.js";
import * as clock from "./clock.js";
import { byId } from "./dom.js";
import { MessageFields, showProblem, TagFields, WhenFields } from "./fields.js";
import { full } from "./time.js";

/** Set the form up; `scheduled(task)` is called with what the service has accepted. */
export function setUp({ scheduled }) {
  const form = byId("schedule");
  const [when, message, tags] = [
    new WhenFields(form.querySelector("[data-fields=when]")),
    new MessageFields(form.querySelector("[data-fields=message]")),
    new TagFields(form.querySelector("[data-fields=tags]")),
  ];
  const button = form.querySelector("[type=submit]");
  const problem = byId("schedule-problem");
  const status = byId("schedule-status");
  // The same request again after an answer that was lost is the same task: its key stays until it is accepted.
  let attempt = { text: null, key: null };

  byId("schedule-details").open = window.matchMedia("(min-width: 60rem)").matches;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.ariaDisabled === "true") {
      return;
    }
    status.textContent = "";
    button.ariaDisabled = "true"; // not `disabled`, which would lose the focus
    try {
      const given = tags.read();
      const body = { ...when.read(), message: message.read(), ...(Object.keys(given).length ? { tags: given } : {}) };
      const text = JSON.stringify(body);
      attempt = text === attempt.text ? attempt : { text, key: newKey() };
      const made = await call("POST", "schedule", { body, headers: { "idempotency-key": attempt.key } });
      attempt = { text: null, key: null };
      const dueMs = Date.parse(made.timestamp);
      if ("in" in body) {
        clock.observeDeed(dueMs - body.in * 1000);
      }
      showProblem(problem, null);
      message.field.value = "";
      tags.clear();
      status.textContent = `Scheduled for ${full(dueMs)}.`;
      scheduled(taskOf(made, body));
    } catch (error) {
      showProblem(problem, error);
    } finally {
      button.ariaDisabled = null;
    }
  });
}

/** The task that was just made, as GET /tasks/{id} would show it. */
function taskOf(made, { message, tags }) {
  return {
    id: made.id,
    status: "scheduled",
    timestamp: made.timestamp,
    message,
    extra: tags ? { tags } : {},
    created_at: new Date(clock.now()).toISOString(),
    emitted_at: null,
    cancelled_at: null,
    failed_at: null,
  };
}
