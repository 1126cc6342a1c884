// The form that searches the list of tasks.

import { byId } from "./dom.js";
import { FieldError, showProblem } from "./fields.js";
import { COMING } from "./tasks.js";
import { fromField } from "./time.js";

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Set the form up; `search(query)` shows what a query finds. */
export function setUp({ search }) {
  const form = byId("search");
  const problem = byId("search-problem");

  async function run(query) {
    showProblem(problem, null);
    byId("search-status").textContent = "";
    try {
      const count = await search(query);
      byId("search-status").textContent = `${count === 1 ? "1 task is" : `${count} tasks are`} shown.`;
    } catch (error) {
      showProblem(problem, error);
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    try {
      run(read(form.elements));
    } catch (error) {
      showProblem(problem, error);
    }
  });
  byId("clear-search").addEventListener("click", () => {
    form.reset();
    run(COMING);
  });
}

/** Return the query that the fields mean. */
function read({ status, tag, from, to, id }) {
  const pasted = id.value.trim();
  if (pasted !== "") {
    if (!ID.test(pasted)) {
      throw new FieldError("This is not an id: one looks like 7212730d-85ba-4037-a648-b77db15ff8b1.", id);
    }
    return { id: pasted.toLowerCase() };
  }
  const wanted = tag.value.trim();
  if (wanted !== "" && !/^[^:]+:/.test(wanted)) {
    throw new FieldError("A tag is its name and its value with a colon between them, such as user:42.", tag);
  }
  const window = [from, to].map((field) => {
    const ms = fromField(field.value);
    if (ms === null && field.validity.badInput) {
      throw new FieldError("Give both the date and the time, or neither.", field);
    }
    return ms;
  });
  if (window[0] !== null && window[1] !== null && window[0] >= window[1]) {
    throw new FieldError("The window ends before it begins.", to);
  }
  const [first, last] = window.map((ms) => (ms === null ? undefined : new Date(ms).toISOString()));
  const query = { status: status.value || undefined, tag: wanted || undefined, from: first, to: last };
  const isPlain = query.status === COMING.status && !query.tag && !query.from && !query.to;
  return isPlain ? COMING : query;
}
