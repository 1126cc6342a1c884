// Node's own http.request, with an agent that keeps connections.
const http = require("node:http");
const { pieces, respond, TIMEOUT_MS } = require("./protocol.cjs");

const agent = new http.Agent({ keepAlive: true });

respond(
  ({ method, url, framing, headers, body }) =>
    new Promise((resolve, reject) => {
      const request = http.request(url, { method, headers, agent, timeout: TIMEOUT_MS });
      request.on("timeout", () => request.destroy(new Error("timeout")));
      request.on("error", reject);
      request.on("response", (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (piece) => (text += piece));
        response.on("error", reject);
        response.on("end", () => {
          resolve({ status: response.statusCode, body: text ? JSON.parse(text) : null });
        });
      });
      if (body === undefined) {
        request.end();
      } else if (framing === "chunked") {
        const [first, rest] = pieces(body);
        request.write(first);
        request.end(rest);
      } else {
        request.setHeader("Content-Length", Buffer.byteLength(body));
        if (framing === "expect") {
          request.setHeader("Expect", "100-continue");
          request.on("continue", () => request.end(body));
          request.flushHeaders();
        } else {
          request.end(body);
        }
      }
    }),
);
