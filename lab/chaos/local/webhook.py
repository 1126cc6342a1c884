"""A webhook on loopback that takes every delivery, and rejects some of them for a while."""

import random
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final, Self

from standardwebhooks import Webhook, WebhookVerificationError

from lab.support.history import Delivered

_FAILS: Final = 0.005  # of the deliveries are rejected; each pauses the sender for half a second or more


class _QuietServer(ThreadingHTTPServer):
    """Says nothing of connections that the server under test cuts when it is killed."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Report any other error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # passed on as it came


class Receiver:
    """Takes nothing that is not signed for it, and stores everything else."""

    def __init__(self, seed: str) -> None:
        self.deliveries: list[Delivered] = []
        self.ids: set[str] = set()
        self.complaints: list[str] = []
        self._choose = random.Random(f"webhook {seed}")  # noqa: S311 - refuses some deliveries
        self._server = _QuietServer(("127.0.0.1", 0), self._handler())
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"

    def expect(self, secret: str, latest_ms: Callable[[], int]) -> None:
        """Tell what deliveries are signed with, and which time the server's clock has shown."""
        self._signature = Webhook(secret)
        self._latest_ms = latest_ms

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def take(self, body: bytes, headers: dict[str, str]) -> int:
        """Take a delivery; returns the status to answer."""
        latest_ms = self._latest_ms()
        try:
            event = self._signature.verify(body, headers)
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

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self.take

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                size = int(self.headers["content-length"])
                if len(body := self.rfile.read(size)) < size:  # its sender was killed
                    self.close_connection = True
                    return
                self.send_response(take(body, {name.lower(): value for name, value in self.headers.items()}))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Write nothing."""

        return Handler
