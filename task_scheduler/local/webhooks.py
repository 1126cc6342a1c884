"""Sends every event in the log to webhooks, signed as Standard Webhooks specifies, to each at its own pace."""

import asyncio
import base64
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, Protocol

import httpx
from standardwebhooks import Webhook

from task_scheduler.engine import UnavailableError
from task_scheduler.local.deliveries import Delivery, Failure
from task_scheduler.task import Event

_logger: Final = logging.getLogger(__name__)

_PAGE: Final = 100  # events read at once
_SHORTEST_KEY: Final = 24  # bytes
_PORTS: Final = range(1, 65_536)
TIMEOUT_S: Final = 15.0
"""How long a receiver may take to respond, in all."""
_DRAIN_S: Final = 1.0
_MAX_DRAINED_BYTES: Final = 65_536

_WAIT_S: Final = 3600.0
_FIRST_PAUSE_S: Final = 0.5
_PAUSES_S: Final = (*(_FIRST_PAUSE_S * 2**number for number in range(15)), *[14_400.0] * 6)
"""Between the attempts of one event: doubled up to 2 hours, then 4 hours each; 28 hours in all."""
_PROBE_S: Final = 60.0
"""How often a receiver that accepts nothing is asked for, so that all goes out soon after it is back."""
_DOWN_AFTER: Final = 5
"""Failures in a row, of any events, after which a receiver counts as down."""
_TRANSIENT: Final = frozenset({408, 425, 429})
"""Of the client errors those that another attempt may not meet: timeout, too early, too many requests."""


class Log(Protocol):
    """What an engine has to offer to webhooks. Changes raise UnavailableError."""

    def now_ms(self) -> int:
        """Return the time that the engine uses."""

    async def open_webhook(self, url: str) -> int:
        """Return up to where the log was sent to a webhook."""

    async def advance_webhook(self, url: str, event: Event, failure: Failure | None) -> None:
        """Remember that an event was sent for the first time."""

    async def next_delivery(self, url: str) -> Delivery | None:
        """Return what is to be sent again first."""

    async def settle_delivery(self, url: str, sequence: int, failure: Failure | None) -> None:
        """Remember what came of sending an event again."""

    async def retry_deliveries(self, url: str) -> None:
        """Send everything again now that waits."""

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
    """Raise ValueError unless webhooks can be signed with `secret` (Standard Webhooks: 24 bytes or more)."""
    key = secret.removeprefix("whsec_").rstrip("=")
    try:
        size = len(base64.b64decode(key + "=" * (-len(key) % 4), validate=True))
    except ValueError:
        size = 0
    if size < _SHORTEST_KEY:
        raise ValueError(f"must be base64 of {_SHORTEST_KEY} bytes or more, with or without whsec_ before it")


class WebhookSender:
    """Sends each event in the log to one URL, until it is cancelled.

    A response of 2xx is a delivery. Where the first attempt fails the event is sent again later, and those behind it go
    on: only events that are delivered at their first attempt keep their order. One that is rejected for good, or was
    not accepted in 28 hours, is set aside. Events may be sent more than once, under one webhook-id.
    """

    def __init__(
        self,
        log: Log,
        url: str,
        secret: str,
        *,
        client: httpx.AsyncClient,
        first_pause_s: float = _FIRST_PAUSE_S,
    ) -> None:
        self._log = log
        self._url = url
        self._signature = Webhook(secret)
        self._client = client
        scale = first_pause_s / _FIRST_PAUSE_S
        self._pauses_s = [pause_s * scale for pause_s in _PAUSES_S]
        self._probe_s = _PROBE_S * scale
        self._position: int | None = None
        self._name = httpx.URL(url).host  # the rest of an address may be a secret
        self._failures = 0  # since the last success, of any event
        self._succeeded_s = time.monotonic()
        self._is_back = False
        self._retry = asyncio.Event()
        self._advance: tuple[Event, Failure | None] | None = None
        self._settlement: tuple[int, Failure | None] | None = None

    async def open(self) -> None:
        """Find where delivery stopped, and send again at once what waits; raises UnavailableError.

        A new webhook gets what is emitted from now on.
        """
        await self._log.retry_deliveries(self._url)
        self._position = await self._log.open_webhook(self._url)

    async def run(self) -> None:
        """Send until cancelled: new events and those to be sent again side by side, so that neither waits."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._repeat(self._send_what_follows))
            group.create_task(self._repeat(self._send_again))

    async def _repeat(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await step()
            except UnavailableError:  # the disk is full for now, or the engine stops and its senders will be cancelled
                await asyncio.sleep(self._pauses_s[0])
            except Exception:  # a delivery that ended here would never go on
                _logger.exception("Delivery to the webhook at %s was interrupted", self._name)
                await asyncio.sleep(_PROBE_S)

    async def _send_what_follows(self) -> None:
        if self._position is None:
            await self.open()
        assert self._position is not None  # noqa: S101 - it is open
        await self._save_advance()
        for event in await self._log.events(after=self._position, limit=_PAGE):
            self._advance = event, await self._attempt(event, 0, self._log.now_ms())
            self._position = event.sequence
            await self._save_advance()
        await self._log.wait_for_events(after=self._position, seconds=_WAIT_S)

    async def _save_advance(self) -> None:
        """Save the outcome of the last first attempt; where the disk refuses, before the next one."""
        if self._advance is not None:
            event, failure = self._advance
            await self._log.advance_webhook(self._url, event, failure)
            self._advance = None
            if failure is not None:
                self._retry.set()

    async def _save_settlement(self) -> None:
        """Save the outcome of the last repeated attempt; where the disk refuses, before the next one."""
        if self._settlement is not None:
            await self._log.settle_delivery(self._url, *self._settlement)
            self._settlement = None

    async def _send_again(self) -> None:
        """Send the next event that waits, when its time has come, or to find out whether the receiver is back."""
        await self._save_settlement()
        self._retry.clear()
        if self._is_back:
            await self._log.retry_deliveries(self._url)
            self._is_back = False
        delivery = await self._log.next_delivery(self._url)
        if delivery is None:
            await self._retry.wait()
            return
        wait_s = (delivery.next_ms - self._log.now_ms()) / 1000
        if wait_s > self._pauses_s[-1]:  # the clock was set back since
            wait_s = 0
        is_probe = self._is_down() and wait_s > self._probe_s
        if wait_s > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(wait_s, self._probe_s)):
                    await self._retry.wait()
                    return  # there may be one that comes before
            if wait_s > self._probe_s and not is_probe:
                return
        failure = await self._attempt(delivery.event, delivery.attempts, delivery.first_ms)
        if failure is None or failure.next_ms is None or not is_probe:
            self._settlement = delivery.event.sequence, failure
            await self._save_settlement()

    def _is_down(self) -> bool:
        """Tell whether it accepts nothing at all: else an event that it never accepts would make it seem so."""
        return self._failures >= _DOWN_AFTER and time.monotonic() - self._succeeded_s >= self._probe_s

    async def _attempt(self, event: Event, before: int, first_ms: int) -> Failure | None:
        """Send an event; return None if it was delivered."""
        reason, permanent, retry_after_s = await self._post(event)
        if reason is None:
            if self._is_down():
                self._is_back = True
                self._retry.set()
            self._failures = 0
            self._succeeded_s = time.monotonic()
            return None
        self._failures += 1
        now_ms = self._log.now_ms()
        attempts = before + 1
        next_ms = None
        # By the time as well: attempts that were made early, since the receiver was back, must not use up the 28 hours.
        is_over = before >= len(self._pauses_s) and now_ms - first_ms >= sum(self._pauses_s) * 1000
        if not permanent and not is_over:
            pause_s = max(self._pauses_s[min(before, len(self._pauses_s) - 1)], min(retry_after_s, self._pauses_s[-1]))
            next_ms = now_ms + round(pause_s * 1000)
        what = "did not accept the event" if next_ms else "rejected the event for good"
        _logger.warning("The webhook at %s %s: %s", self._name, what, reason, extra={"task_id": event.task_id})
        return Failure(attempts, reason, next_ms, now_ms)

    async def _post(self, event: Event) -> tuple[str | None, bool, float]:
        """Send an event; return why it was not accepted, whether that is final, and how long to wait at least."""
        now = datetime.now(UTC)
        headers = {
            "content-type": "application/json",
            "webhook-id": event.task_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signature.sign(event.task_id, now, event.payload),
        }
        status, retry_after = 0, ""
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),  # for all of it: httpx has a limit for each step
                self._client.stream("POST", self._url, content=event.payload.encode(), headers=headers) as response,
            ):
                status, retry_after = response.status_code, response.headers.get("retry-after", "")
                await _drain(response)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError) as error:  # a Location may be anything
            if not status:  # else the receiver has responded, whatever became of the rest
                return type(error).__name__, False, 0.0
        if httpx.codes.is_success(status):
            return None, False, 0.0
        permanent = httpx.codes.is_client_error(status) and status not in _TRANSIENT
        return str(status), permanent, float(retry_after) if retry_after.isdecimal() else 0.0


async def _drain(response: httpx.Response) -> None:
    """Read a short rest, so that the connection can be used again; a long or slow one costs the connection."""
    size = 0
    with suppress(TimeoutError, httpx.StreamConsumed):
        async with asyncio.timeout(_DRAIN_S):
            async for piece in response.aiter_raw():
                size += len(piece)
                if size > _MAX_DRAINED_BYTES:
                    return
