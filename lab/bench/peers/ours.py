"""The local engine, asked over HTTP by one process and heard over its event stream by another."""

import asyncio
import http.client
import json
import re
import socket
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httptools
import uvloop

from lab.bench.peers.protocol import APART_S, FAR_S, Peer, main, note
from lab.support.connection import Connection, Target

_BATCH: Final = 100
_DUE: Final = re.compile(rb'"due":([\d.]+)')
_ID: Final = re.compile(rb"id: (\d+)\n")
_AGAIN_S: Final = 0.005  # the listener comes back at once: the server's start is measured, not its pause
_TIMEOUT_S: Final = 60
_FRESH_S: Final = 2


def request(path: str, body: object) -> bytes:
    """Return a request as it goes over the wire."""
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(content)}"
    )
    return head.encode() + b"\r\n\r\n" + content


def task(due: float) -> dict[str, object]:
    """Return the body of a schedule request."""
    at = datetime.fromtimestamp(due, UTC).isoformat(timespec="milliseconds")
    return {"timestamp": at, "message": {"due": due}}


class Ours(Peer):
    """A server, whose address is that of its data file; the port is in a file beside it."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self._port = int(Path(f"{address}.port").read_text())
        self._local = threading.local()

    def accept(self, due: float) -> str:
        """Schedule it over a connection that this thread keeps."""
        return str(self._post("/schedule", task(due))["id"])

    def cancel(self, task_id: str) -> None:
        """Cancel it; answered after the commit."""
        self._post("/cancel", {"id": task_id})

    def fill(self, count: int, due: float) -> None:
        """Schedule many, by a hundred."""
        for first in range(0, count, _BATCH):
            numbers = range(first, min(first + _BATCH, count))
            tasks = [task(round(due + number * APART_S, 3)) for number in numbers]
            results = self._post("/schedule/batch", {"tasks": tasks})["results"]
            if any(result["status"] != http.HTTPStatus.OK for result in results):
                raise ConnectionError("A task was refused.")

    def rate(self, producers: int, begin: float, seconds: float) -> float:
        """Count answers, with a loop instead of threads: a generator of its own would take the server's time."""
        return uvloop.run(self._rate(producers, begin, begin + seconds)) / seconds

    async def _rate(self, producers: int, begin: float, end: float) -> int:
        sent = request("/schedule", task(round(end + FAR_S, 3)))
        target = Target(f"http://127.0.0.1:{self._port}")

        async def produce() -> int:
            connection, count = Connection(), 0
            await target.connect(connection)
            await asyncio.sleep(max(0.0, begin - time.time()))
            while True:
                status, _ = await connection.send(sent)
                if status != http.HTTPStatus.OK:
                    raise ConnectionError(f"A task was answered {status}.")
                if time.time() >= end:
                    connection.close()
                    return count
                count += 1

        return sum(await asyncio.gather(*(produce() for _ in range(producers))))

    def _post(self, path: str, body: object) -> dict[str, list[dict[str, int]]]:
        if time.monotonic() > getattr(self._local, "fresh_until", 0):  # the server cuts connections that are idle
            self._local.socket = socket.create_connection(("127.0.0.1", self._port), timeout=_TIMEOUT_S)
            self._local.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._local.socket.sendall(request(path, body))
        answer = _Answer()
        while not answer.whole:
            if not (data := self._local.socket.recv(1 << 16)):
                raise ConnectionError("The server has cut the connection.")
            answer.parser.feed_data(data)
        self._local.fresh_until = time.monotonic() + _FRESH_S
        if answer.parser.get_status_code() != http.HTTPStatus.OK:
            raise ConnectionError(f"{path} was answered {answer.parser.get_status_code()}.")
        return dict(json.loads(answer.body))

    def work(self) -> None:
        """Do nothing: the server is a program of its own."""

    def listen(self) -> None:
        """Note down each event when it comes, and come back to the server whenever it is gone."""
        last = b"0"
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self._port)) as stream:
                    stream.sendall(
                        b"GET /events HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n"
                        b"last-event-id: " + last + b"\r\n\r\n"
                    )
                    frames = _Frames(last)
                    while data := stream.recv(1 << 20):
                        frames.parser.feed_data(data)
                        last = frames.take()
            except OSError:
                pass
            time.sleep(_AGAIN_S)


class _Answer:
    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.body = b""
        self.whole = False

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.whole = True


class _Frames(_Answer):
    def __init__(self, last: bytes) -> None:
        super().__init__()
        self._last = last

    def take(self) -> bytes:
        """Note down the whole frames that have come, and return the last position."""
        whole, end, rest = self.body.rpartition(b"\n\n")
        if end:
            self.body = rest
            if dues := _DUE.findall(whole):
                note([float(due) for due in dues])
            self._last = (_ID.findall(whole + end) or [self._last])[-1]
        return self._last


if __name__ == "__main__":
    main(Ours, roles=["listen"])
