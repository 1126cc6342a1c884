"""A webhook on loopback that takes every delivery, and rejects some of them for a while."""

import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final

from standardwebhooks import Webhook, WebhookVerificationError

from lab.support.history import Delivered

_FAILS: Final = 0.005  # of the deliveries are rejected; each pauses the sender for half a second or more


class Receiver(ThreadingHTTPServer):
    """Takes nothing that is not signed for it, and stores everything else."""

    daemon_threads = True

    def __init__(self, seed: str, signature: Webhook, latest_ms: Callable[[], int]) -> None:
        """Take what deliveries are signed with, and which time the server's clock has shown."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/hook"
        self.deliveries: list[Delivered] = []
        self.ids: set[str] = set()
        self.complaints: list[str] = []
        self._choose = random.Random(f"webhook {seed}")  # noqa: S311 - refuses some deliveries
        self._signature = signature
        self._latest_ms = latest_ms

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen until the end of the block."""
        thread = Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            thread.join()
            self.server_close()

    def take(self, body: bytes, headers: Mapping[str, str]) -> int:
        """Take a delivery; returns the status to answer."""
        latest_ms = self._latest_ms()
        try:
            event = self._signature.verify(body, dict(headers))
        except WebhookVerificationError:
            self.complaints.append(f"A delivery of {headers.get('webhook-id')} has a wrong signature")
            return 401
        if event["id"] != headers["webhook-id"]:
            self.complaints.append(f"The webhook-id {headers['webhook-id']} came with task {event['id']}")
        self.deliveries.append(Delivered.of(event, latest_ms))
        if self._choose.random() < _FAILS:
            return 500
        self.ids.add(event["id"])
        return 204

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of connections that the server under test cuts when it is killed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # passed on as it came


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        """Take a delivery that is whole: a sender that is killed may leave a part of one."""
        size = int(self.headers["content-length"])
        if len(body := self.rfile.read(size)) < size:
            self.close_connection = True
            return
        self.send_response(self.server.take(body, {name.lower(): value for name, value in self.headers.items()}))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Write nothing."""
