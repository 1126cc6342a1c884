"""Webhooks: every event, signed, from where it stopped, and none is lost silently, whatever their receivers do."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from standardwebhooks import Webhook

from task_scheduler.engine import UnavailableError
from task_scheduler.local.deliveries import Deliveries, Delivery, Failure
from task_scheduler.local.server import Options, ServeError
from task_scheduler.local.store import TaskStore
from task_scheduler.local.webhooks import WebhookSender, check_secret
from task_scheduler.task import Event

pytestmark = pytest.mark.anyio

NOW_MS = 1_795_300_000_000
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - of receivers that live in this file
URL = "https://receiver.example/a/secret/path?token=abc"


class MemoryLog:
    """A log in memory, whose disk refuses as often as it is told to; its clock stands still until it is set."""

    def __init__(self) -> None:
        self.deliveries = TaskStore.open(Path(":memory:")).deliveries
        self.clock_ms = NOW_MS
        self.positions: dict[str, int] = {}
        self.refusals = 0
        self._events: list[Event] = []
        self._arrival = asyncio.Event()

    def emit(self, count: int, message: str = "hello") -> list[Event]:
        first = len(self._events) + 1
        self._events += [
            Event(number, f"task-{number}", f'{{"id":"task-{number}","message":"{message}"}}', NOW_MS, NOW_MS)
            for number in range(first, first + count)
        ]
        self._arrival.set()
        return self._events[-count:]

    def now_ms(self) -> int:
        return self.clock_ms

    async def open_webhook(self, url: str) -> int:
        self._refuse()
        self.positions[url] = self.deliveries.open_webhook(url, position=len(self._events))
        return self.positions[url]

    async def advance_webhook(self, url: str, event: Event, failure: Failure | None) -> None:
        self._refuse()
        self.deliveries.advance_webhook(url, event, failure)
        self.positions[url] = event.sequence

    async def next_delivery(self, url: str) -> Delivery | None:
        return self.deliveries.next(url)

    async def settle_delivery(self, url: str, sequence: int, failure: Failure | None) -> None:
        self._refuse()
        self.deliveries.settle(url, sequence, failure)

    async def retry_deliveries(self, url: str) -> None:
        self.deliveries.retry_now(url, self.now_ms())

    async def events(self, *, after: int, limit: int) -> list[Event]:
        return self._events[after : after + limit]

    async def wait_for_events(self, *, after: int, seconds: float) -> bool:
        async with asyncio.timeout(seconds):
            while len(self._events) <= after:
                self._arrival.clear()
                await self._arrival.wait()
        return True

    def _refuse(self) -> None:
        if self.refusals:
            self.refusals -= 1
            raise UnavailableError("The task store cannot be written now.")


@dataclass
class Receiver:
    """Takes nothing but requests with a valid signature; answers the given failures first."""

    failures: list[int | Exception] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        Webhook(SECRET).verify(request.content, dict(request.headers))
        self.requests.append(request)
        failure = self.failures.pop(0) if self.failures else 204
        if isinstance(failure, Exception):
            raise failure
        if failure < 300:
            self.accepted.append(request.headers["webhook-id"])
        return httpx.Response(failure, headers={"location": "https://elsewhere.example"})


Start = Callable[..., Awaitable[asyncio.Task[None]]]


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture
async def start(log: MemoryLog) -> AsyncIterator[Start]:
    """A way to start senders to a receiver and wait until they have their position; they are stopped at the end."""
    senders: list[asyncio.Task[None]] = []

    async def start(
        receiver: Callable[[httpx.Request], httpx.Response], url: str = URL, *, first_pause_s: float = 0.0001
    ) -> asyncio.Task[None]:
        client = httpx.AsyncClient(transport=httpx.MockTransport(receiver))
        sender = WebhookSender(log, url, SECRET, client=client, first_pause_s=first_pause_s)
        senders.append(asyncio.create_task(sender.run()))
        await _until(lambda: url in log.positions)
        return senders[-1]

    yield start
    for sender in senders:
        sender.cancel()
    ended = await asyncio.gather(*senders, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended


async def _until(found: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not found():  # noqa: ASYNC110 - what is waited for is not one event
            await asyncio.sleep(0.001)


def _ids(events: list[Event]) -> list[str]:
    return [event.task_id for event in events]


async def test_a_receiver_that_was_down_gets_everything_soon_after_it_is_back(log: MemoryLog, start: Start) -> None:
    """Long before the pauses of the single events are over: one of them is sent every minute to find out."""
    receiver = Receiver(failures=[httpx.ConnectError("down")] * 200)
    await start(receiver)
    events = log.emit(150)
    await _until(lambda: sorted(receiver.accepted) == sorted(_ids(events)))
    assert log.deliveries.next(URL) is None


async def test_the_body_is_the_event_to_the_byte(log: MemoryLog, start: Start) -> None:
    receiver = Receiver()
    await start(receiver)
    [event] = log.emit(1, "Grüße 😀 \\u2028")
    await _until(lambda: receiver.requests != [])
    [request] = receiver.requests
    assert request.content == event.payload.encode()
    assert request.method == "POST"
    assert str(request.url) == URL
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == event.task_id


@pytest.mark.parametrize(
    "failure",
    [
        *(408, 425, 429, 302, 308, 500, 503),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("nonsense"),
    ],
)
async def test_an_event_that_was_not_accepted_is_retried_at_the_same_url(
    failure: int | Exception, log: MemoryLog, start: Start
) -> None:
    """After a redirect too: it is not followed, since the event would go where nobody wanted it."""
    receiver = Receiver(failures=[failure, failure])
    await start(receiver)
    events = log.emit(2)
    await _until(lambda: log.positions[URL] == 2)
    log.clock_ms += 10_000
    await _until(lambda: sorted(receiver.accepted) == _ids(events))
    assert len(receiver.requests) == 4
    assert {str(request.url) for request in receiver.requests} == {URL}
    assert log.deliveries.set_aside() == 0


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422])
async def test_an_event_rejected_permanently_is_set_aside_and_delays_no_other(
    status: int, log: MemoryLog, start: Start
) -> None:
    receiver = Receiver(failures=[status])
    await start(receiver)
    events = log.emit(3)
    await _until(lambda: log.positions[URL] == 3)
    assert receiver.accepted == _ids(events[1:])
    [found] = log.deliveries.list_set_aside(limit=10)
    assert (found.url, found.task_id, found.attempts, found.failure) == (URL, events[0].task_id, 1, str(status))
    assert log.deliveries.next(URL) is None
    assert log.deliveries.acknowledge(until_ms=found.set_aside_ms - 1) == 0
    assert log.deliveries.acknowledge(until_ms=found.set_aside_ms) == 1
    assert log.deliveries.set_aside() == 0


def test_pending_deliveries_of_a_removed_webhook_are_set_aside(tmp_path: Path) -> None:
    removed = "https://removed.example/"
    event = Event(1, "00000000-0000-4000-8000-000000000001", "{}", 1_000, 1_000)
    with closing(TaskStore.open(tmp_path / "tasks.db")) as store, store.transaction():
        for url in (URL, removed):
            store.deliveries.open_webhook(url, position=0)
            store.deliveries.advance_webhook(url, event, Failure(1, "500", 2_000, 1_000))
        assert store.deliveries.set_aside_removed([URL], 5_000) == 1
        assert store.deliveries.next(URL) is not None
        [found] = store.deliveries.list_set_aside(limit=10)
        assert (found.url, found.set_aside_ms, found.failure) == (removed, 5_000, "500")
        assert store.deliveries.set_aside_removed([], 6_000) == 1


def attempts(deliveries: Deliveries) -> int:
    found = deliveries.next(URL)
    return 0 if found is None else found.attempts


async def test_an_event_is_retried_with_growing_pauses_for_28_hours_then_set_aside(
    log: MemoryLog, start: Start
) -> None:
    pauses = []
    receiver = Receiver(failures=[500] * 100)
    await start(receiver, first_pause_s=0.5)
    log.emit(1)
    await _until(lambda: attempts(log.deliveries) == 1)
    while (delivery := log.deliveries.next(URL)) is not None:
        pauses.append((delivery.next_ms - log.clock_ms) / 1000)
        log.clock_ms = delivery.next_ms
        await log.settle_delivery(URL, 1, None)  # the sender sleeps by the real clock; a new one looks at once
        log.deliveries.advance_webhook(URL, delivery.event, Failure(delivery.attempts, "500", log.clock_ms, 0))
        await start(receiver, first_pause_s=0.5)
        await _until(lambda before=delivery.attempts: attempts(log.deliveries) != before)  # type: ignore[misc]  # mypy sees no type in a default
    assert log.deliveries.set_aside() == 1
    assert pauses[:4] == [0.5, 1, 2, 4]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 4 * 3600
    assert 28 * 3600 <= sum(pauses) <= 29 * 3600


@pytest.mark.parametrize("location", ["http://[", "https://user:pass@:x/", "\x00", "//", "http://" + "a" * 70_000])
async def test_a_redirect_to_nowhere_fails_one_attempt_and_delays_no_other(
    log: MemoryLog, start: Start, location: str
) -> None:
    def redirect(request: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers=[(b"location", location.encode())], request=request)

    await start(redirect)
    log.emit(3)
    await _until(lambda: log.positions[URL] == 3)
    delivery = log.deliveries.next(URL)
    assert delivery is not None
    assert delivery.attempts >= 1


async def test_retry_after_of_the_receiver_is_respected(log: MemoryLog, start: Start) -> None:
    busy = httpx.Response(429, headers={"retry-after": "7"})
    await start(lambda _request: busy, first_pause_s=0.5)
    log.emit(1)
    await _until(lambda: log.positions[URL] == 1)
    delivery = log.deliveries.next(URL)
    assert delivery
    assert delivery.next_ms == log.clock_ms + 7_000


async def test_a_clock_set_back_by_years_does_not_stop_retries(log: MemoryLog, start: Start) -> None:
    receiver = Receiver(failures=[500, 500])
    await start(receiver, first_pause_s=0.5)
    log.emit(1)
    await _until(lambda: log.positions[URL] == 1)
    log.clock_ms -= 10 * 365 * 86_400_000
    log.emit(1)  # fails too, and is sent again first: by then no wait goes by the old clock any more
    await _until(lambda: receiver.accepted == ["task-2", "task-1"])


@pytest.mark.parametrize("status", [204, 500])
async def test_a_response_without_an_end_is_not_read_to_its_end(status: int, log: MemoryLog, start: Start) -> None:
    read = 0

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            nonlocal read
            while True:
                read += 1
                yield b"more" * 10_000

    answers = [httpx.Response(status, stream=Endless()), httpx.Response(204)]
    await start(lambda _request: answers.pop(0))
    log.emit(2)
    await _until(lambda: answers == [])
    assert 1 <= read <= 2


async def test_a_disk_that_is_full_for_a_while_neither_stops_nor_repeats_deliveries(
    log: MemoryLog, start: Start
) -> None:
    log.refusals = 2
    receiver = Receiver()
    await start(receiver)
    log.refusals = 3
    events = log.emit(10)
    await _until(lambda: log.positions[URL] == 10)
    assert receiver.accepted == _ids(events)


async def test_the_log_of_a_failure_has_neither_message_nor_url(
    caplog: pytest.LogCaptureFixture, log: MemoryLog, start: Start
) -> None:
    await start(Receiver(failures=[500, httpx.ConnectError(f"cannot reach {URL}")]))
    log.emit(1, "a confidential message")
    await _until(lambda: log.positions[URL] == 1)
    log.clock_ms += 1_000
    await _until(lambda: log.deliveries.next(URL) is None)
    records = [record for record in caplog.records if record.name.startswith("task_scheduler")]
    assert [record.__dict__["task_id"] for record in records] == ["task-1", "task-1"]
    ours = [record.getMessage() for record in records]
    for line in ours:
        assert "receiver.example" in line
        assert not any(private in line for private in ("secret", "token", "abc", "confidential", SECRET))


@pytest.mark.parametrize("secret", [SECRET, SECRET.removeprefix("whsec_"), base64.b64encode(b"x" * 64).decode()])
def test_a_base64_secret_is_accepted(secret: str) -> None:
    check_secret(secret)


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "x", "abc", "whsec_é", "=", "whsec_!!!", base64.b64encode(b"x" * 23).decode()]
)
def test_a_secret_that_cannot_sign_is_rejected(secret: str) -> None:
    with pytest.raises(ValueError, match="base64"):
        check_secret(secret)


@pytest.mark.parametrize(
    "url",
    [
        *("", "nonsense", "//host", "ftp://host/", "http://", "http:///path"),
        *("http://[::1", "http://host:port/", "http://host:65536/", "http://host:0/", "http://host:-1/"),
    ],
)
def test_a_webhook_that_is_no_http_url_is_rejected(url: str) -> None:
    options = Options(data=Path("tasks.db"), webhooks=[url], webhook_secret=SECRET)
    with pytest.raises(ServeError, match=re.escape(repr(url))):
        options.check()


async def test_a_new_webhook_gets_the_events_since_it_was_opened() -> None:
    """A server opens all of them before it accepts a task; where the disk refuses that, it does not start."""
    log = MemoryLog()
    log.emit(2)
    receiver = Receiver()
    async with httpx.AsyncClient(transport=httpx.MockTransport(receiver)) as client:
        sender = WebhookSender(log, URL, SECRET, client=client)
        log.refusals = 1
        with pytest.raises(UnavailableError):
            await sender.open()
        await sender.open()
        events = log.emit(3)
        running = asyncio.create_task(sender.run())
        async with asyncio.timeout(30):
            await _until(lambda: log.positions[URL] == 5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert receiver.accepted == _ids(events)
