"""The package httpx, with a client that keeps its connections."""

from typing import Any

import httpx

from tests.clients.programs.protocol import TIMEOUT_S, Request, respond

_CLIENT = httpx.Client(timeout=TIMEOUT_S)


def send(request: Request) -> tuple[int, Any]:
    response = _CLIENT.request(
        request.method,
        request.url,
        headers=request.headers,
        content=request.pieces() if request.framing == "chunked" else None,
        json=None if request.framing == "chunked" else request.json(),
    )
    return response.status_code, response.json() if response.content else None


if __name__ == "__main__":
    respond(send)
