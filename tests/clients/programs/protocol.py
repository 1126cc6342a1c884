"""What the programs in Python share: reading requests, writing responses and events, reconnecting."""

import base64
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

TIMEOUT_S: Final = 20


@dataclass(frozen=True)
class Request:
    """A request that the test wants."""

    method: str
    url: str
    framing: str
    body: bytes | None
    headers: dict[str, str]

    def pieces(self) -> Iterator[bytes]:
        """Yield the body in two pieces, for a client that then sends it in chunks."""
        assert self.body is not None
        middle = len(self.body) // 2
        yield self.body[:middle]
        yield self.body[middle:]

    def json(self) -> Any:  # noqa: ANN401 - any JSON
        """Return the body for a client that takes JSON."""
        return None if self.body is None else json.loads(self.body)


def parse(line: str) -> Request:
    """Return the request in a line of standard input."""
    method, url, framing, body, *headers = line.split()
    octets = None if body == "-" else base64.b64decode(body)
    return Request(method, url, framing, octets, dict(header.split("=", 1) for header in headers))


def write(line: object) -> None:
    """Write a line of standard output."""
    print(json.dumps(line), flush=True)


def respond(send: Callable[[Request], tuple[int, Any]]) -> None:
    """Send every request of standard input."""
    for line in sys.stdin:
        try:
            status, body = send(parse(line))
            write({"status": status, "body": body})
        except Exception as error:  # noqa: BLE001 - the test wants to know whatever went wrong
            write({"error": repr(error)})


def follow(events: Callable[[str, dict[str, str]], Iterable[tuple[str, str, str]]]) -> None:
    """Write each event that `events` reads as id, type and data, and connect again whenever that ends."""
    last = ""
    while True:
        headers = {"accept": "text/event-stream", "x-pd-secret": os.environ["SECRET"]}
        if last:
            headers["last-event-id"] = last
        try:
            for last, kind, data in events(sys.argv[1], headers):
                write({"id": last, "type": kind, "data": data})
        except Exception as error:  # noqa: BLE001 - each client has its own for a connection that ends
            print(repr(error), file=sys.stderr)
        time.sleep(0.05)


def frames(lines: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Yield id, type and data of each event in the lines of a stream, as people write it who have no library."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        else:
            if "data" in fields:
                yield fields.get("id", ""), fields.get("event", "message"), fields["data"]
            fields = {}
