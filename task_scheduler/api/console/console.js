// The console: puts its parts together, and decides when to look again.

import { call } from "./api.js";
import * as clock from "./clock.js";
import { Connection } from "./connection.js";
import { Detail } from "./detail.js";
import { byId, tell, write } from "./dom.js";
import { EmittedList } from "./events.js";
import { Load } from "./throughput.js";
import * as picture from "./chart.js";
import * as schedule from "./schedule.js";
import * as search from "./search.js";
import * as secret from "./secret.js";
import { EventStream } from "./stream.js";
import { TaskList } from "./tasks.js";
import { offset, span, zone } from "./time.js";
import { SetAside } from "./webhooks.js";

const LOOK_EVERY_S = 7; // at the first page of what is coming; the stream tells the rest at once
const LOOK_AT_ALL_EVERY_S = 63; // at every page that is shown
const HEALTH_INTERVAL_MS = 60_000;
const HIDDEN_MS = 30_000; // a page that nobody sees gives its connection back after this

const tasks = new TaskList();
const load = new Load();
const emitted = new EmittedList({ late: lateBy });
const connection = new Connection({ tryNow: () => stream.tryNow() });
const detail = new Detail({ changed });
const setAside = new SetAside({ acknowledged: sayHealth });
const stream = new EventStream({
  position: (number) => quietly(emitted.load(number).then(count)),
  event: onEvent,
  up: onUp,
  down: (error, pauseMs) => {
    clock.startOver();
    connection.down(error, pauseMs);
  },
});

/** How late an event was, as far as this page knows when its task was due and made. */
function lateBy({ metadata: { id, ts } }) {
  return load.lateness(id, ts);
}

function onEvent(envelope) {
  const { id, ts } = envelope.metadata;
  clock.observeDeed(ts);
  count([envelope]);
  tasks.emitted(id, ts);
  emitted.add(envelope);
  drawSoon();
  quietly(detail.happened(id));
}

function count(events) {
  for (const { metadata: { id, ts } } of events) {
    const task = tasks.known(id);
    const due = task && Math.max(Date.parse(task.timestamp), Date.parse(task.created_at));
    load.emitted(id, ts, task ? ts - due : null);
  }
}

function onUp() {
  const wasLive = connection.isLive;
  connection.set("live");
  if (!wasLive) {
    load.startOver();
    quietly(look({ all: true }));
  }
}

function changed(task) {
  tasks.put(task);
  load.expire();
  quietly(lookAtLoad());
}

async function look({ all = false } = {}) {
  await tasks.refresh({ all }).catch((error) => tasks.fail(error));
  if (connection.isBusy) {
    count(await emitted.load());
  }
  await lookAtLoad();
}

async function lookAtLoad() {
  if (await load.refresh()) {
    emitted.annotate();
  }
  if (secret.isLocked()) {
    load.clear();
  }
  picture.show(load.minutes());
}

let drawing = false;

/** Draw the load once for all that comes until then. */
function drawSoon() {
  if (!drawing) {
    drawing = true;
    setTimeout(() => {
      drawing = false;
      picture.show(load.minutes());
    }, 250);
  }
}

/** What fails in the background is tried again soon; the stream says so where the service is away. */
async function quietly(deed) {
  try {
    await deed;
  } catch (error) {
    console.debug(error.message);
  }
}

let seconds = 0;

function everySecond() {
  if (document.hidden) {
    return;
  }
  seconds += 1;
  tasks.tick();
  detail.tick();
  connection.tick();
  if ((connection.isLive || connection.isBusy) && seconds % LOOK_EVERY_S === 0) {
    quietly(look({ all: seconds % LOOK_AT_ALL_EVERY_S === 0 }));
  }
  if (seconds % 60 === 0) {
    tasks.tidy();
  }
}

let hiddenTimer;

function onVisibility() {
  clearTimeout(hiddenTimer);
  if (document.hidden) {
    hiddenTimer = setTimeout(() => {
      stream.stop();
      connection.set("paused");
    }, HIDDEN_MS);
  } else if (!secret.isLocked()) {
    stream.start();
    everySecond();
  }
}

function onSecret() {
  const locked = secret.isLocked();
  byId("forget-secret").hidden = secret.current() === null;
  byId("enter-secret").hidden = !locked;
  if (locked) {
    stream.stop();
    connection.set("locked");
    tasks.clear();
    emitted.clear();
    setAside.clear();
    load.clear();
    picture.show(load.minutes());
    history.replaceState(null, "", location.pathname + location.search);
    quietly(detail.follow());
  } else {
    stream.start();
  }
}

function sayHowFarClocksAre(ms) {
  const size = Math.abs(ms);
  const unit = size > 600_000 ? 60_000 : 1000; // how well it is known matters little where it is far off
  const far = size < 1000 ? null : `The clock of this service is ${span(Math.round(size / unit) * unit)} `
    + `${ms > 0 ? "ahead of" : "behind"} yours. What is counted down here goes by the service's.`;
  if (byId("skew").textContent !== (far ?? "")) {
    tell(byId("skew"), far);
  }
}

async function sayHealth() {
  const { version, warnings = [] } = await call("GET", "health");
  write(byId("version"), `Task Scheduler ${version}`);
  const words = warnings.join(" ");
  if (byId("health").textContent !== words) {
    tell(byId("health"), words || null);
  }
  if (words === "") {
    setAside.clear();
  } else if (!secret.isLocked()) {
    await setAside.refresh();
  }
}

function start() {
  write(byId("zone"), `${zone()} (${offset(Date.now())})`);
  clock.onSkew(sayHowFarClocksAre);
  schedule.setUp({ scheduled: changed });
  search.setUp({ search: (query) => tasks.show(query) });
  byId("more").addEventListener("click", () => tasks.more().catch((error) => tasks.fail(error)));
  byId("forget-secret").addEventListener("click", () => {
    secret.forget();
    byId("enter-secret").focus();
  });
  byId("enter-secret").addEventListener("click", () => secret.unlock());
  secret.onChange(onSecret);
  byId("forget-secret").hidden = secret.current() === null;
  window.addEventListener("hashchange", () => quietly(detail.follow()));
  window.addEventListener("popstate", () => quietly(detail.follow()));
  document.addEventListener("visibilitychange", onVisibility);
  setInterval(everySecond, 1000);
  quietly(sayHealth());
  setInterval(() => document.hidden || quietly(sayHealth()), HEALTH_INTERVAL_MS);
  stream.start();
  quietly(detail.follow());
}

start();
