"""The package requests, with a session."""

from typing import Any

import requests

from tests.clients.programs.protocol import TIMEOUT_S, Request, respond

_SESSION = requests.Session()


def send(request: Request) -> tuple[int, Any]:
    response = _SESSION.request(
        request.method,
        request.url,
        headers=request.headers,
        data=request.pieces() if request.framing == "chunked" else None,
        json=None if request.framing == "chunked" else request.json(),
        timeout=TIMEOUT_S,
    )
    return response.status_code, response.json() if response.content else None


if __name__ == "__main__":
    respond(send)
