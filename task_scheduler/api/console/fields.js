// The fields that more than one form has: when, what, and tags. Each reads itself, or says what is wrong in words.

import { byId, make, tell } from "./dom.js";
import { now } from "./clock.js";
import { fromField, offset, toField, zone } from "./time.js";

const MAX_TAGS = 8;
let count = 0;

/** What a viewer entered is not right; `field` is where. */
export class FieldError extends Error {
  constructor(sentence, field) {
    super(sentence);
    this.field = field;
  }
}

/** Show what is wrong with a form beside it, and lead to the field; other errors only speak. */
export function showProblem(element, error) {
  const form = element.closest("form");
  for (const marked of form.querySelectorAll("[aria-invalid]")) {
    marked.removeAttribute("aria-invalid");
    marked.removeAttribute("aria-describedby");
  }
  tell(element, error && error.message);
  if (error instanceof FieldError) {
    error.field.setAttribute("aria-invalid", "true");
    error.field.setAttribute("aria-describedby", element.id);
    error.field.focus();
  }
}

/** When: so long from now, or at a time in the viewer's zone. */
export class WhenFields {
  #root;

  constructor(place) {
    this.#root = fromTemplate("when-fields", place);
    this.#root.addEventListener("change", () => this.#update());
    this.#field("at").addEventListener("input", () => this.#update());
    this.#update();
  }

  /** The `in` or `timestamp` of a request. */
  read() {
    if (this.#kind() === "in") {
      const field = this.#field("count");
      const seconds = Number(field.value) * Number(this.#field("unit").value);
      if (field.value === "" || !Number.isFinite(seconds) || seconds < 0) {
        throw new FieldError("Say in how long: a number, 0 or more.", field);
      }
      return { in: Math.round(seconds * 1000) / 1000 };
    }
    const ms = fromField(this.#field("at").value);
    if (ms === null) {
      throw new FieldError("Give the date and the time.", this.#field("at"));
    }
    return { timestamp: new Date(ms).toISOString() };
  }

  /** Propose a moment. */
  propose(ms) {
    this.#field("at").value = toField(ms);
    this.#update();
  }

  #update() {
    const kind = this.#kind();
    for (const part of this.#root.querySelectorAll("[data-when]")) {
      part.hidden = part.dataset.when !== kind;
    }
    const at = this.#field("at");
    if (kind === "at" && !at.value) {
      at.value = toField(Math.ceil(now() / 60_000) * 60_000 + 300_000);
    }
    const ms = fromField(at.value) ?? now();
    this.#root.querySelector("[data-zone]").textContent = `In your time zone, ${zone()} (${offset(ms)} then).`;
  }

  #kind() {
    return this.#root.querySelector("input[type=radio]:checked").value;
  }

  #field(name) {
    return this.#root.querySelector(`[name=${name}]`);
  }
}

/** What: a text, or any JSON but null. */
export class MessageFields {
  #root;

  constructor(place) {
    this.#root = fromTemplate("message-fields", place);
  }

  get field() {
    return this.#root.querySelector("textarea");
  }

  read() {
    const text = this.field.value;
    if (this.#root.querySelector("input[type=radio]:checked").value === "text") {
      if (text === "") {
        throw new FieldError("Write a message.", this.field);
      }
      return text;
    }
    const value = parseJson(text, this.field);
    if (value === null) {
      throw new FieldError("A message can be any JSON but null.", this.field);
    }
    return value;
  }

  show(message) {
    const isText = typeof message === "string";
    this.#root.querySelector(`input[type=radio][value=${isText ? "text" : "json"}]`).checked = true;
    this.field.value = isText ? message : JSON.stringify(message, null, 2);
  }
}

/** Tags, a row for each. */
export class TagFields {
  #root;
  #rows;
  #add;

  constructor(place) {
    this.#root = fromTemplate("tags-fields", place);
    this.#rows = this.#root.querySelector("[data-rows]");
    this.#add = this.#root.querySelector("[data-add]");
    this.#add.addEventListener("click", () => this.#addRow());
  }

  read() {
    const tags = {};
    for (const row of this.#rows.children) {
      const [name, value] = row.querySelectorAll("input");
      if (name.value === "" && value.value === "") {
        continue;
      }
      if (name.value === "") {
        throw new FieldError("A tag has a name.", name);
      }
      if (name.value in tags) {
        throw new FieldError(`The tag ${name.value} is there twice.`, name);
      }
      tags[name.value] = value.value;
    }
    return tags;
  }

  clear() {
    this.#rows.replaceChildren();
    this.#add.hidden = false;
  }

  #addRow() {
    const name = make("input", { autocomplete: "off", spellcheck: "false", maxlength: "256" });
    const row = make("div", { class: "tag-row" },
      make("label", {}, "Name ", name),
      make("label", {}, "Value ", make("input", { autocomplete: "off", spellcheck: "false", maxlength: "256" })),
      make("button", { type: "button", class: "quiet", "aria-label": "Remove this tag", onclick: () => {
        const next = row.nextElementSibling ?? row.previousElementSibling;
        row.remove();
        this.#add.hidden = false;
        (next?.querySelector("input") ?? this.#add).focus();
      } }, "Remove"));
    this.#rows.append(row);
    this.#add.hidden = this.#rows.children.length >= MAX_TAGS;
    name.focus();
  }
}

function parseJson(text, field) {
  if (text.trim() === "") {
    throw new FieldError("Write a message, as JSON.", field);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error.message.replace(/^JSON\.parse: /, "");
    throw new FieldError(`This is not JSON: ${reason}${place(error, text)}.`, field);
  }
}

/** Where a parser that tells no line stopped; most of them tell it. */
function place(error, text) {
  if (/line \d+/.test(error.message)) {
    return "";
  }
  const position = Number(/position (\d+)/.exec(error.message)?.[1] ?? text.length);
  const before = text.slice(0, position).split("\n");
  return ` (line ${before.length} column ${before.at(-1).length + 1})`;
}

/** Copy the fields of a template into a place; radio buttons of two copies must not be one group. */
function fromTemplate(id, place) {
  const root = byId(id).content.firstElementChild.cloneNode(true);
  count += 1;
  for (const radio of root.querySelectorAll("input[type=radio]")) {
    radio.name = `${radio.name}-${count}`;
  }
  place.replaceChildren(root);
  return root;
}
