// The service's clock, as far as this page can tell: due times are counted down by it, not by the viewer's.

const TOLERATED_MS = 5000; // a Date header has whole seconds, and an answer takes its time
const JITTER_MS = 2000; // of what is learnt from one answer and the next

let ofHeaders = 0;
let ofEvents = 0; // a test clock runs ahead of the headers, which tell the machine's time
let told = () => {};

/** Milliseconds since the epoch, by the service. */
export function now() {
  return Date.now() + offset();
}

/** Learn from the Date header of an answer. */
export function observeAnswer(date) {
  const ms = Date.parse(date ?? "");
  if (!Number.isNaN(ms)) {
    const difference = ms + 500 - Date.now();
    if (Math.abs(difference) <= TOLERATED_MS) {
      ofHeaders = 0;
    } else if (Math.abs(difference - ofHeaders) > JITTER_MS) {
      ofHeaders = difference;
    }
    told(offset());
  }
}

/** Learn from something that the engine did just now; what was on its way for long can only look older. */
export function observeDeed(ms) {
  const difference = ms - Date.now();
  if (difference > Math.max(offset(), 0) + TOLERATED_MS) {
    ofEvents = difference;
    told(offset());
  }
}

/** Forget what the engine did: another one may be there now. */
export function startOver() {
  ofEvents = 0;
}

/** Call with the milliseconds by which the service's clock is ahead, whenever that was learnt. */
export function onSkew(listener) {
  told = listener;
}

function offset() {
  return ofEvents || ofHeaders;
}
