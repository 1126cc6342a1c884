// node listen.cjs URL SECRET: follows a stream with the npm package eventsource until it is killed.
// Writes a line of JSON for each thing it sees: {"position": id}, {"id", "task", "data"} or {"error": message}.
const { EventSource } = require("eventsource");

const [url, secret] = process.argv.slice(2);
const write = (line) => console.log(JSON.stringify(line));
const source = new EventSource(url, {
  fetch: (input, init) => fetch(input, { ...init, headers: { ...init.headers, "x-pd-secret": secret } }),
});
source.addEventListener("position", (event) => write({ position: event.lastEventId }));
source.onmessage = (event) => {
  const envelope = JSON.parse(event.data);
  write({ id: event.lastEventId, task: envelope.metadata.id, data: envelope });
};
source.onerror = (event) => write({ error: event.message ?? "cut" });
