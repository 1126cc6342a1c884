// Node's own fetch, which keeps connections by itself.
import { pieces, respond, TIMEOUT_MS } from "./protocol.cjs";

respond(async ({ method, url, framing, headers, body }) => {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const chunked = framing === "chunked" && {
    body: ReadableStream.from(pieces(body)).pipeThrough(new TextEncoderStream()),
    duplex: "half",
  };
  const response = await fetch(url, { method, headers, body, signal, ...chunked });
  const text = await response.text();
  return { status: response.status, body: text ? JSON.parse(text) : null };
});
