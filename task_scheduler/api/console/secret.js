// The secret: asked for when the service wants it, kept for this tab, never part of an address.

import { byId, tell } from "./dom.js";

const KEY = "task-scheduler-secret";
const CHANGED = new EventTarget();

let kept = read();
let asking = null;
let dismissed = false;

/** Nobody gave the secret that the service wants. */
export class LockedError extends Error {
  constructor() {
    super("The service requires its secret. Enter it with the button at the top.");
  }
}

/** The secret to send, or null. */
export function current() {
  return kept;
}

/** Whether the viewer chose not to give one. */
export function isLocked() {
  return dismissed;
}

/** Forget the secret, and ask no more until the viewer wants to. */
export function forget() {
  keep(null);
  dismissed = true;
  CHANGED.dispatchEvent(new Event("change"));
}

/** Ask again after all. */
export function unlock() {
  dismissed = false;
  CHANGED.dispatchEvent(new Event("change"));
}

/** Call whenever there is another secret, or none. */
export function onChange(listener) {
  CHANGED.addEventListener("change", listener);
}

/** Wait for another secret than the one that was refused; throws LockedError when there is none. */
export async function replace(refused, isRight) {
  if (kept !== refused) {
    return;
  }
  asking ??= ask(refused, isRight).finally(() => {
    asking = null;
    CHANGED.dispatchEvent(new Event("change"));
  });
  await asking;
}

function ask(refused, isRight) {
  keep(null);
  const dialog = byId("secret");
  const form = dialog.querySelector("form");
  const field = form.elements.secret;
  const problem = byId("secret-problem");
  tell(problem, refused === null ? null : "The secret of this tab is no longer right.");
  field.value = "";
  const leave = new AbortController();
  const { signal } = leave;
  return new Promise((resolve, reject) => {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const given = field.value;
      const mistake = await mistakeIn(given, isRight);
      tell(problem, mistake);
      field.toggleAttribute("aria-invalid", mistake !== null);
      if (mistake !== null) {
        field.focus();
        field.select();
        return;
      }
      keep(given);
      dismissed = false;
      resolve();
      dialog.close();
    }, { signal });
    byId("secret-later").addEventListener("click", () => dialog.close(), { signal });
    dialog.addEventListener("close", () => {
      leave.abort();
      field.value = "";
      dismissed = kept === null;
      reject(new LockedError()); // of no effect after the secret was right
    }, { signal });
    dialog.showModal();
  });
}

/** Say what is wrong with a secret, or null. */
async function mistakeIn(given, isRight) {
  if (!given) {
    return "Enter the secret.";
  }
  if (!/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(given)) {
    return "The secret has only printable ASCII characters, and no space at its ends.";
  }
  try {
    return (await isRight(given)) ? null : "This is not the secret of this service.";
  } catch (error) {
    return error.message;
  }
}

function keep(value) {
  kept = value;
  try {
    if (value === null) {
      sessionStorage.removeItem(KEY);
    } else {
      sessionStorage.setItem(KEY, value);
    }
  } catch {
    // Without storage it is kept as long as the page is.
  }
}

function read() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}
