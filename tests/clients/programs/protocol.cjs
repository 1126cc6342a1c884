// What the clients in Node.js share: reading requests and writing responses.
const { createInterface } = require("node:readline");

exports.TIMEOUT_MS = 20_000;

exports.respond = async (send) => {
  for await (const line of createInterface({ input: process.stdin })) {
    const [method, url, framing, encoded, ...words] = line.split(" ");
    const headers = Object.fromEntries(words.map((word) => word.split(/=(.*)/s, 2)));
    const body = encoded === "-" ? undefined : Buffer.from(encoded, "base64").toString();
    const response = await send({ method, url, framing, headers, body }).catch((error) => ({
      error: String(error.cause ?? error),
    }));
    console.log(JSON.stringify(response));
  }
};

// The body in two pieces, for a client that then sends it in chunks.
exports.pieces = (body) => [body.slice(0, 5), body.slice(5)];
