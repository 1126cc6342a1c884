"""Python's own urllib.request; it opens a connection for each request."""

import json
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request as UrllibRequest
from urllib.request import urlopen

from tests.clients.programs.protocol import TIMEOUT_S, Request, respond


def send(request: Request) -> tuple[int, Any]:
    body = request.pieces() if request.framing == "chunked" else request.body
    prepared = UrllibRequest(request.url, body, request.headers, method=request.method)  # noqa: S310 - a URL of the test
    try:
        response = urlopen(prepared, timeout=TIMEOUT_S)  # noqa: S310 - the same
    except HTTPError as error:
        response = error
    with response:
        text = response.read()
    return response.status, json.loads(text) if text else None


if __name__ == "__main__":
    respond(send)
