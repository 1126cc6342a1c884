// The event stream by the npm package eventsource, which reconnects by itself.
const { EventSource } = require("eventsource");

const secret = { "x-pd-secret": process.env.SECRET };
const source = new EventSource(process.argv[2], {
  fetch: (input, init) => fetch(input, { ...init, headers: { ...init.headers, ...secret } }),
});
for (const type of ["position", "message"]) {
  source.addEventListener(type, ({ lastEventId, data }) => console.log(JSON.stringify({ id: lastEventId, type, data })));
}
