"""Hands every event in the log to webhooks, signed as Standard Webhooks has it, to each at its own pace."""

import asyncio
import base64
import logging
from datetime import UTC, datetime
from typing import Final, Protocol

import httpx
from standardwebhooks import Webhook

from task_scheduler.engine import UnavailableError
from task_scheduler.task import Event

_logger: Final = logging.getLogger(__name__)

_PAGE: Final = 100  # events read at once
_PORTS: Final = range(1, 65_536)
TIMEOUT_S: Final = 15.0
"""How long a receiver may take to answer."""

_WAIT_S: Final = 3600.0
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 60.0


class EventSource(Protocol):
    """What an engine has to offer to webhooks."""

    async def open_webhook(self, url: str) -> int:
        """Return up to where the log was delivered to a webhook."""

    async def advance_webhook(self, url: str, position: int) -> None:
        """Remember up to where the log was delivered to a webhook."""

    async def events(self, *, after: int, limit: int) -> list[Event]:
        """Return the events after a sequence number."""

    async def wait_for_events(self, *, after: int, seconds: float) -> bool:
        """Wait for an event."""


def is_web_address(text: str) -> bool:
    """Tell whether a webhook can be posted to an address of this form."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        return False
    return url.scheme in {"http", "https"} and url.host != "" and (url.port is None or url.port in _PORTS)


def check_secret(secret: str) -> None:
    """Raise ValueError unless `secret` is one that webhooks can be signed with."""
    key = secret.removeprefix("whsec_").rstrip("=")
    try:
        valid = base64.b64decode(key + "=" * (-len(key) % 4), validate=True) != b""
    except ValueError:
        valid = False
    if not valid:
        raise ValueError("must be base64, with or without whsec_ before it")


class WebhookSender:
    """Delivers the log to one URL in order, from where it stopped, until it is cancelled.

    An answer of 2xx is a delivery. Anything else is tried again after a pause that doubles up to a minute, for as long
    as the event is in the log: the receiver may get an event more than once, under one webhook-id.
    """

    def __init__(
        self,
        source: EventSource,
        url: str,
        secret: str,
        *,
        client: httpx.AsyncClient,
        first_pause_s: float = _FIRST_PAUSE_S,
    ) -> None:
        self._source = source
        self._url = url
        self._signature = Webhook(secret)
        self._client = client
        self._first_pause_s = first_pause_s
        self._position: int | None = None
        self._name = httpx.URL(url).host  # the rest of an address may be a secret

    async def open(self) -> None:
        """Find where delivery stopped; a new webhook gets what is emitted from now on. Raises UnavailableError."""
        self._position = await self._source.open_webhook(self._url)

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            try:
                await self._deliver_what_follows()
            except UnavailableError:  # the disk is full for now, or the engine stops and its senders will be cancelled
                await asyncio.sleep(self._first_pause_s)
            except Exception:  # a delivery that ended here would never go on
                _logger.exception("Delivery to the webhook at %s was interrupted", self._name)
                await asyncio.sleep(_LONGEST_PAUSE_S)

    async def _deliver_what_follows(self) -> None:
        if self._position is None:
            await self.open()
        assert self._position is not None  # noqa: S101 - it is open
        for event in await self._source.events(after=self._position, limit=_PAGE):
            await self._deliver(event)
            self._position = event.sequence
            await self._source.advance_webhook(self._url, self._position)
        await self._source.wait_for_events(after=self._position, seconds=_WAIT_S)

    async def _deliver(self, event: Event) -> None:
        pause_s = self._first_pause_s
        while not await self._post(event):
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _post(self, event: Event) -> bool:
        now = datetime.now(UTC)
        headers = {
            "content-type": "application/json",
            "webhook-id": event.task_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signature.sign(event.task_id, now, event.event),
        }
        try:
            # What the receiver says beyond its status is not read: it may be endless.
            async with self._client.stream("POST", self._url, content=event.event.encode(), headers=headers) as answer:
                status = answer.status_code
        except httpx.HTTPError as error:
            self._warn("was not reached", type(error).__name__, event)
            return False
        delivered = httpx.codes.is_success(status)
        if not delivered:
            self._warn("did not take the event", status, event)
        return delivered

    def _warn(self, what: str, why: object, event: Event) -> None:
        _logger.warning("The webhook at %s %s: %s", self._name, what, why, extra={"task_id": event.task_id})
