// node client_axios.cjs PACKAGE: axios of the version that this name in package.json has.
const { Readable } = require("node:stream");
const { pieces, respond, TIMEOUT_MS } = require("./protocol.cjs");

const axios = require(process.argv[2]);

respond(async ({ method, url, framing, headers, body }) => {
  const data = body && (framing === "chunked" ? Readable.from(pieces(body)) : JSON.parse(body));
  const timeout = TIMEOUT_MS;
  const response = await axios.request({ method, url, headers, data, timeout, validateStatus: () => true });
  return { status: response.status, body: response.data || null };
});
