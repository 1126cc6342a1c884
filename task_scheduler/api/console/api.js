// Calls to the service, relative to this page, and their errors in words.

import { observeAnswer } from "./clock.js";
import * as secret from "./secret.js";

const PATIENCE_MS = 35_000; // longer than API Gateway lets anything take

/** The service refused; the message has its sentences. */
export class ApiError extends Error {
  constructor(status, sentences, retryAfterMs) {
    super(sentences.join(" "));
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The service does not respond. */
export class UnreachableError extends Error {
  constructor() {
    super("The service does not respond.");
  }
}

/** Call the service and return the JSON of its answer; asks for the secret where it must. */
export async function call(method, path, options = {}) {
  const response = await open(method, path, { ...options, patience: PATIENCE_MS });
  try {
    return await response.json();
  } catch {
    throw new UnreachableError();
  }
}

/** Call the service and return its answer, once it is one that is not an error. */
export async function open(method, path, { query = {}, body, headers = {}, signal, patience } = {}) {
  for (;;) {
    if (secret.isLocked()) {
      throw new secret.LockedError();
    }
    const given = secret.current();
    const response = await send(method, path, { query, body, headers, signal, patience, given });
    if (response.status !== 401) {
      return checked(response);
    }
    await secret.replace(given, isRight);
  }
}

/** A key that makes a repeated request the same one. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function send(method, path, { query, body, headers, signal, patience, given }) {
  const url = new URL(path, document.baseURI);
  url.hash = "";
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") {
      url.searchParams.set(name, value);
    }
  }
  const limits = [signal, patience && AbortSignal.timeout(patience)].filter(Boolean);
  try {
    const response = await fetch(url, {
      method,
      headers: {
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(given === null ? {} : { "x-pd-secret": given }),
        ...headers,
      },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: limits.length ? AbortSignal.any(limits) : undefined,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
    });
    observeAnswer(response.headers.get("date"));
    return response;
  } catch (error) {
    if (signal?.aborted) {
      throw error;
    }
    throw new UnreachableError();
  }
}

async function checked(response) {
  if (response.ok) {
    return response;
  }
  let sentences = [`The request failed (status ${response.status}). Please try again.`];
  try {
    const { errors } = await response.json();
    sentences = errors.map(String);
  } catch {
    // Something between us and the service answered, in its own words.
  }
  throw new ApiError(response.status, sentences, Number(response.headers.get("retry-after")) * 1000 || 0);
}

async function isRight(given) {
  const response = await send("GET", "tasks", { query: { limit: 1 }, headers: {}, patience: PATIENCE_MS, given });
  if (response.status === 401) {
    return false;
  }
  await checked(response);
  return true;
}
