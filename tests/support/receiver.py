"""A receiver of webhooks on loopback, which takes nothing that is not signed for it."""

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Final, Self

from standardwebhooks import Webhook, WebhookVerificationError

from tests.support.http_server import serving

WEBHOOK_SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - of receivers that live for a second


class Receiver:
    """Listens on a free port; responds with `status` while `fails` says so, and else keeps the event."""

    def __init__(self, *, fails: Callable[[int], bool] = lambda _: False, status: int = 500) -> None:
        self._status = status
        self.fails = fails
        """Is told how many requests came before."""
        self.attempts: list[str] = []
        """The webhook-id of every request, in the order in which they came."""
        self.events: list[dict[str, Any]] = []
        """What was accepted, once for every webhook-id."""
        self._accepted: set[str] = set()
        self._serving = serving(self._handler())
        self.url = ""

    def __enter__(self) -> Self:
        self.url = f"{self._serving.__enter__()}/hook"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._serving.__exit__(kind, error, trace)

    @property
    def ids(self) -> list[str]:
        """The tasks whose events were accepted, in order."""
        return [event["id"] for event in self.events]

    def _take(self, body: bytes, headers: dict[str, str]) -> int:
        try:
            event: dict[str, Any] = Webhook(WEBHOOK_SECRET).verify(body, headers)
        except WebhookVerificationError:
            return 401
        self.attempts.append(headers["webhook-id"])
        if self.fails(len(self.attempts) - 1):
            return self._status
        if headers["webhook-id"] not in self._accepted:
            self._accepted.add(headers["webhook-id"])
            self.events.append(event)
        return 204

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                self.send_response(take(body, {name.lower(): value for name, value in self.headers.items()}))
                self.end_headers()

        return Handler
