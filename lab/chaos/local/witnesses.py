"""Who sees what is emitted: a listener that comes back by Last-Event-ID after every cut, and a webhook."""

import asyncio
import json
import random
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final, Self

import httpx
import httpx_sse
from standardwebhooks import Webhook, WebhookVerificationError

from lab.chaos.ledger import Delivered, Emitted, Seen

_PAUSE_S: Final = 0.05
_SILENCE_S: Final = 20.0  # a stream has a comment every 15 s
_CUTS: Final = 0.02  # of the events are followed by a cut of the listener's own
_FAILS: Final = 0.005  # of the deliveries are refused; each pauses the sender for half a second or more


class Listener:
    """Follows the event stream from its beginning; keeps whatever comes, also what should not."""

    def __init__(self, url: str, secret: str, seed: str, *, latest_ms: Callable[[], int]) -> None:
        self.seen: list[Seen] = []
        self.connections = 0
        self.last = 0
        """The Last-Event-ID that it holds."""
        self._url = url
        self._headers = {"x-pd-secret": secret}
        self._choose = random.Random(f"listener {seed}")  # noqa: S311 - cuts its own connections
        self._latest_ms = latest_ms

    async def run(self) -> None:
        """Listen until cancelled."""
        async with httpx.AsyncClient(base_url=self._url, timeout=_SILENCE_S, trust_env=False) as http:
            while True:
                try:
                    await self._listen(http)
                except (httpx.TransportError, httpx.HTTPStatusError):
                    await asyncio.sleep(_PAUSE_S)

    async def _listen(self, http: httpx.AsyncClient) -> None:
        headers = {**self._headers, "last-event-id": str(self.last)}
        async with httpx_sse.aconnect_sse(http, "GET", "/events", headers=headers) as source:
            source.response.raise_for_status()
            self.connections += 1
            async for event in source.aiter_sse():
                if event.event != "message" or not event.data:
                    continue
                self.seen.append(Seen(Emitted.read(json.loads(event.data)), self._latest_ms()))
                self.last = int(event.id)
                if self._choose.random() < _CUTS:
                    return


class _QuietServer(ThreadingHTTPServer):
    """Says nothing of connections that the server under test cuts when it is killed."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Report any other error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # passed on as it came


class Receiver:
    """A webhook on loopback, which takes nothing that is not signed for it, and keeps whatever comes."""

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
        self.deliveries.append(Delivered.read(event, latest_ms))
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
