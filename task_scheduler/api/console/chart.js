// The picture of the load: a bar for each minute, and the same as a table.

import { byId, draw, make, write } from "./dom.js";
import { MINUTES } from "./throughput.js";
import { lateness, ofDay } from "./time.js";

const MINUTE = 60_000;
const [WIDTH, HEIGHT, GAP] = [12, 100, 3];
const NOTABLE_MS = 1500; // AWS waits to the next whole second

let shown = "";

/** Draw what Load.minutes() returned, where it differs from what is shown. */
export function show(load) {
  const text = JSON.stringify(load);
  if (text !== shown) {
    shown = text;
    redraw(load);
  }
}

function redraw({ past, next, moreAhead, moreBehind }) {
  const bars = [...past, ...next];
  const most = Math.max(...bars.map(({ count }) => count), 1);
  const words = summaryOf(past, next, { moreAhead, moreBehind });
  write(byId("load-summary"), words);
  const middle = past.length * WIDTH;
  const picture = draw("svg", {
    viewBox: `0 0 ${bars.length * WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": words,
  },
  ...bars.map((bar, index) => barOf(bar, index, most)),
  draw("line", { class: "now", x1: middle, x2: middle, y1: 0, y2: HEIGHT }));
  byId("load-picture").replaceChildren(scale(most), picture, axis(past, next));
  byId("load-table").replaceChildren(table(bars));
}

function barOf(bar, index, most) {
  const height = bar.count === 0 ? 1 : Math.max((bar.count / most) * (HEIGHT - 4), 4);
  const kind = bar.count === 0 ? "none" : bar.past ? "past" : "next";
  const late = bar.late.at(-1) >= NOTABLE_MS ? " late" : "";
  return draw("g", {},
    draw("title", {}, wordsOf(bar)),
    draw("rect", { class: "reach", x: index * WIDTH, y: 0, width: WIDTH, height: HEIGHT }),
    draw("rect", {
      class: kind + late, x: index * WIDTH + GAP / 2, y: HEIGHT - height, width: WIDTH - GAP, height,
    }));
}

function axis(past, next) {
  const [first, last] = [past[0].minute * MINUTE, (next.at(-1).minute + 1) * MINUTE];
  return make("div", { class: "axis muted", "aria-hidden": "true" },
    make("span", {}, `${ofDay(first)}, emitted`), make("span", {}, "now"), make("span", {}, `due, ${ofDay(last)}`));
}

function scale(most) {
  return make("span", { class: "scale muted", "aria-hidden": "true" }, `${most.toLocaleString("en")} a minute`);
}

function table(bars) {
  const head = ["Minute", "Emitted", "Due", "Median lateness", "Most"];
  const rows = bars.filter(({ count }) => count > 0).map((bar) => make("tr", {},
    make("th", { scope: "row" }, ofDay(bar.minute * MINUTE)),
    ...[
      bar.past ? String(bar.count) : "",
      bar.past ? "" : String(bar.count),
      bar.late.length ? lateness(median(bar.late)) : "",
      bar.late.length ? lateness(bar.late.at(-1)) : "",
    ].map((text) => make("td", {}, text))));
  if (rows.length === 0) {
    return make("p", { class: "empty" }, "Nothing within half an hour, before or after now.");
  }
  return make("table", {},
    make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col" }, text)))),
    make("tbody", {}, ...rows));
}

function summaryOf(past, next, { moreAhead, moreBehind }) {
  const total = (bars, more) => {
    const sum = bars.reduce((count, bar) => count + bar.count, 0);
    return `${more ? "more than " : ""}${sum.toLocaleString("en")}`;
  };
  const late = past.flatMap((bar) => bar.late).sort((one, other) => one - other);
  const behind = `${total(past, moreBehind)} emitted in the last ${MINUTES} min`;
  const how = late.length ? `, ${lateness(median(late))} late at the median, ${lateness(late.at(-1))} at most` : "";
  return `${behind}${how}; ${total(next, moreAhead)} due in the next ${MINUTES} min.`;
}

function wordsOf({ minute, past, count, late }) {
  const at = ofDay(minute * MINUTE);
  const how = late.length ? `, ${lateness(median(late))} late at the median, ${lateness(late.at(-1))} at most` : "";
  return `${at}: ${count.toLocaleString("en")} ${past ? "emitted" : "due"}${how}`;
}

function median(sorted) {
  return sorted[Math.floor((sorted.length - 1) / 2)];
}
