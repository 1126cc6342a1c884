// Times and durations as people read them, in the viewer's own time zone.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const thisYear = new Intl.DateTimeFormat(undefined, {
  weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit",
});
const otherYear = new Intl.DateTimeFormat(undefined, {
  year: "numeric", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit",
});
const long = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const clockTime = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const clockSeconds = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** How far a moment is away: "in 4 min 12 s". */
export function distance(ms) {
  if (ms <= 0 && ms > -SECOND) {
    return "now";
  }
  return ms > 0 ? `in ${span(Math.ceil(ms / SECOND) * SECOND)}` : `${span(-ms)} ago`;
}

/** How long something takes, in its two largest units. */
export function span(ms) {
  const parts = [
    [DAY, "d"], [HOUR, "h"], [MINUTE, "min"], [SECOND, "s"],
  ];
  const first = Math.max(parts.findIndex(([unit]) => ms >= unit), 0);
  const [[large, name], small] = [parts[first], parts[first + 1]];
  const whole = Math.floor(ms / large);
  const rest = small ? Math.floor((ms % large) / small[0]) : 0;
  return rest ? `${whole} ${name} ${rest} ${small[1]}` : `${whole} ${name}`;
}

/** How late something came: milliseconds where they matter. */
export function lateness(ms) {
  if (ms < SECOND) {
    return `${Math.max(Math.round(ms), 0)} ms`;
  }
  return ms < MINUTE ? `${(ms / SECOND).toFixed(1)} s` : span(ms);
}

/** A moment in a row of a list: no more of the date than it takes. */
export function short(ms, nowMs) {
  const date = new Date(ms);
  if (date.toDateString() === new Date(nowMs).toDateString()) {
    return clockSeconds.format(date);
  }
  return (date.getFullYear() === new Date(nowMs).getFullYear() ? thisYear : otherYear).format(date);
}

/** A moment with everything. */
export function full(ms) {
  return long.format(ms);
}

/** The time of day. */
export function ofDay(ms, { seconds = false } = {}) {
  return (seconds ? clockSeconds : clockTime).format(ms);
}

/** The viewer's time zone: "Europe/Berlin". */
export function zone() {
  return Intl.DateTimeFormat().resolvedOptions().timeZone ?? "local time";
}

/** How far the viewer's zone is from UTC at a moment: "UTC+01:00". */
export function offset(ms) {
  const minutes = -new Date(ms).getTimezoneOffset();
  const two = (number) => String(number).padStart(2, "0");
  const size = Math.abs(minutes);
  return `UTC${minutes < 0 ? "−" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/** A moment as a field for local date and time holds it. */
export function toField(ms) {
  const date = new Date(ms - new Date(ms).getTimezoneOffset() * MINUTE);
  return date.toISOString().slice(0, 19);
}

/** The moment that such a field means, or null where it is empty or incomplete. */
export function fromField(value) {
  const ms = value ? new Date(value).getTime() : NaN;
  return Number.isNaN(ms) ? null : ms;
}
