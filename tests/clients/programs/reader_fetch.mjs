// The event stream by fetch and the lines that node:readline finds in it: it also ends a line at U+2028 and U+2029.
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { setTimeout } from "node:timers/promises";

let last;

async function read() {
  const headers = { Accept: "text/event-stream", "x-pd-secret": process.env.SECRET };
  if (last) headers["Last-Event-ID"] = last;
  const response = await fetch(process.argv[2], { headers });
  const lines = createInterface({ input: Readable.fromWeb(response.body), crlfDelay: Infinity });
  let fields = {};
  lines.on("line", (line) => {
    if (line) {
      const [name, value] = line.split(/: ?(.*)/s, 2);
      fields[name] = value;
      return;
    }
    if (fields.data !== undefined) {
      last = fields.id;
      console.log(JSON.stringify({ id: last, type: fields.event ?? "message", data: fields.data }));
    }
    fields = {};
  });
  await new Promise((resolve, reject) => lines.on("close", resolve).on("error", reject));
}

while (true) {
  await read().catch((error) => console.error(error));
  await setTimeout(50);
}
