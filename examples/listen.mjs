// Prints every message as it is emitted, with the fetch of Node 20 or newer: node listen.mjs [FILE]
//
// It comes back by itself after a cut, where it was. On AWS every answer ends after at most 22 seconds, and coming back
// is how it goes on. With a FILE it keeps its position there: what is emitted while it is stopped is printed when it
// runs again, for as long as the service keeps events (7 days).

import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const base = (process.env.TASK_SCHEDULER_URL || "http://127.0.0.1:8000").replace(/\/+$/, "");
const secret = process.env.TASK_SCHEDULER_SECRET;
const file = process.argv[2];
const SILENCE_MS = 60_000; // a live stream sends a comment every 15 s, a long poll ends after 22 s
const LONGEST_PAUSE_MS = 30_000;

if (!URL.canParse(base)) stop(`TASK_SCHEDULER_URL is no URL: ${base}`);
let position = readPosition(); // the number of the last event that was printed; undefined: start now
let pauseMs = 250; // before it comes back; the stream says how long
let failures = 0; // in a row; each doubles the pause

/** A mistake that does not go away by trying again. */
class Refused extends Error {}

function readPosition() {
  if (!file) return undefined;
  let text;
  try {
    text = readFileSync(file, "utf8").trim();
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    stop(`The position cannot be read: ${error.message}`);
  }
  return /^\d+$/.test(text) ? Number(text) : stop(`${file} holds no position; remove it to start from now.`);
}

/** Replaces the file at once, so that a crash leaves the old position or the new one. */
function keepPosition(number) {
  position = number;
  if (!file) return;
  try {
    writeFileSync(`${file}.new`, `${number}\n`, { flush: true });
    renameSync(`${file}.new`, file);
  } catch (error) {
    stop(`The position cannot be kept: ${error.message}`);
  }
}

function stop(sentence) {
  console.error(sentence);
  process.exit(1);
}

/** Yields the events of a stream, read as the HTML standard has it (9.2.6, "Interpreting an event stream"). */
async function* eventsOf(body, onBytes) {
  let text = "";
  let event = { type: "", id: undefined, data: [] };
  for await (const piece of body.pipeThrough(new TextDecoderStream())) {
    onBytes();
    const lines = (text + piece).split(/\r\n|\n|\r(?!$)/); // a \r at the end may be half of a \r\n
    text = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (event.data.length) yield { ...event, data: event.data.join("\n") };
        event = { type: "", id: event.id, data: [] };
        continue;
      }
      const [, name, value] = /^([^:]*)(?:: ?(.*))?$/s.exec(line);
      if (name === "data") event.data.push(value ?? "");
      else if (name === "event") event.type = value ?? "";
      else if (name === "id" && !value?.includes("\0")) event.id = value ?? "";
      else if (name === "retry" && /^\d+$/.test(value ?? "")) pauseMs = Number(value);
    } // an empty name is a comment, and the standard ignores what it does not know
  } // a half event at the end is dropped: it comes again
}

function receive({ type, id, data }) {
  const number = Number(id);
  if (type === "position") return keepPosition(number); // where a stream begins that knew no position
  if (type !== "" || number <= position) return undefined; // a repetition
  const { event, metadata } = JSON.parse(data);
  console.log(`${new Date(metadata.ts).toISOString()} ${event.id} ${JSON.stringify(event.message)}`);
  return keepPosition(number); // after the work: a crash in between prints it again, and loses nothing
}

/** Follows one connection until it ends. */
async function follow() {
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(new Error("nothing was heard for a minute")), SILENCE_MS);
  try {
    const headers = { accept: "text/event-stream" };
    if (secret) headers["x-pd-secret"] = secret;
    if (position !== undefined) headers["last-event-id"] = String(position);
    const response = await fetch(`${base}/events`, { headers, signal: silence.signal });
    if (!response.ok) {
      const answer = await response.json().catch(() => ({}));
      const reason = answer.errors?.join(" ") ?? `the answer was ${response.status}`;
      throw new (response.status < 500 && response.status !== 429 ? Refused : Error)(reason);
    }
    if (!response.headers.get("content-type")?.startsWith("text/event-stream"))
      throw new Refused(`${base}/events is no event stream; is the URL right?`);
    failures = 0;
    for await (const event of eventsOf(response.body, () => timer.refresh())) receive(event);
  } finally {
    clearTimeout(timer);
  }
}

process.stdout.on("error", () => process.exit(0)); // whoever read what is printed has gone, as in `| head`
while (true) {
  try {
    await follow();
  } catch (error) {
    if (error instanceof Refused) stop(`The service refused: ${error.message}`);
    if (failures === 0) console.error(`Cut, coming back: ${error.cause?.message || error.cause?.code || error.message}`);
    failures += 1;
  }
  await sleep(Math.min(pauseMs * 2 ** failures, LONGEST_PAUSE_MS));
}
