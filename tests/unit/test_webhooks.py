"""Webhooks: every event, signed, in order, from where it stopped, whatever their receivers do."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from standardwebhooks import Webhook

from task_scheduler.engine import UnavailableError
from task_scheduler.local.server import Options, ServeError
from task_scheduler.local.webhooks import WebhookSender, check_secret
from task_scheduler.task import Event

NOW_MS = 1_795_300_000_000
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - of receivers that live in this file
URL = "https://receiver.example/a/secret/path?token=abc"


class MemoryLog:
    """An event source in memory, whose disk refuses as often as it is told to."""

    def __init__(self) -> None:
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

    async def open_webhook(self, url: str) -> int:
        self._refuse()
        return self.positions.setdefault(url, len(self._events))

    async def advance_webhook(self, url: str, position: int) -> None:
        self._refuse()
        self.positions[url] = position

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


def _run(scenario: Callable[[MemoryLog, Callable[..., asyncio.Task[None]]], Awaitable[None]]) -> None:
    """Run a scenario with a log and a way to start senders to a receiver; they are stopped at its end."""

    async def within() -> None:
        log = MemoryLog()
        senders: list[asyncio.Task[None]] = []

        def start(
            receiver: Callable[[httpx.Request], httpx.Response], url: str = URL, *, first_pause_s: float = 0.0001
        ) -> asyncio.Task[None]:
            client = httpx.AsyncClient(transport=httpx.MockTransport(receiver))
            sender = WebhookSender(log, url, SECRET, client=client, first_pause_s=first_pause_s)
            senders.append(asyncio.create_task(sender.run()))
            return senders[-1]

        try:
            async with asyncio.timeout(30):
                await scenario(log, start)
        finally:
            for sender in senders:
                sender.cancel()
            ended = await asyncio.gather(*senders, return_exceptions=True)
            assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended

    asyncio.run(within())


async def _until(found: Callable[[], bool]) -> None:
    while not found():  # noqa: ASYNC110 - what is waited for is not one event
        await asyncio.sleep(0.001)


def _ids(events: list[Event]) -> list[str]:
    return [event.task_id for event in events]


def test_a_receiver_that_fails_ten_times_and_recovers_gets_every_event_in_order() -> None:
    async def scenario(log: MemoryLog, start: Callable[..., asyncio.Task[None]]) -> None:
        receiver = Receiver(failures=[500] * 10)
        start(receiver)
        await _until(lambda: URL in log.positions)
        events = log.emit(150)
        await _until(lambda: log.positions[URL] == 150)
        assert receiver.accepted == _ids(events)
        assert [request.headers["webhook-id"] for request in receiver.requests[:11]] == [events[0].task_id] * 11
        events += log.emit(5)
        await _until(lambda: log.positions[URL] == 155)
        assert receiver.accepted == _ids(events)

    _run(scenario)


def test_the_body_is_the_event_to_the_byte() -> None:
    async def scenario(log: MemoryLog, start: Callable[..., asyncio.Task[None]]) -> None:
        receiver = Receiver()
        start(receiver)
        await _until(lambda: URL in log.positions)
        [event] = log.emit(1, "Grüße 😀 \\u2028")
        await _until(lambda: receiver.requests != [])
        [request] = receiver.requests
        assert request.content == event.event.encode()
        assert request.method == "POST"
        assert str(request.url) == URL
        assert request.headers["content-type"] == "application/json"
        assert request.headers["webhook-id"] == event.task_id

    _run(scenario)


@pytest.mark.parametrize(
    "failure",
    [
        *(400, 401, 404, 410, 429, 302, 308, 500, 503),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("nonsense"),
    ],
)
def test_whatever_is_no_success_is_tried_again(failure: int | Exception) -> None:
    """A redirect too: it is not followed, since the event would go where nobody wanted it."""

    async def scenario(log: MemoryLog, start: Callable[..., asyncio.Task[None]]) -> None:
        receiver = Receiver(failures=[failure, failure])
        start(receiver)
        await _until(lambda: URL in log.positions)
        events = log.emit(2)
        await _until(lambda: log.positions[URL] == 2)
        assert receiver.accepted == _ids(events)
        assert len(receiver.requests) == 4
        assert {str(request.url) for request in receiver.requests} == {URL}

    _run(scenario)


@pytest.mark.parametrize("status", [204, 500])
def test_an_answer_without_an_end_is_not_read(status: int) -> None:
    read = 0

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            nonlocal read
            while True:
                read += 1
                yield b"more" * 10_000

    async def scenario(log: MemoryLog, start: Callable[..., asyncio.Task[None]]) -> None:
        answers = [httpx.Response(status, stream=Endless()), httpx.Response(204)]
        start(lambda _request: answers.pop(0))
        await _until(lambda: URL in log.positions)
        log.emit(1 if status >= 300 else 2)
        await _until(lambda: answers == [])

    _run(scenario)
    assert read == 0


def test_a_dead_receiver_does_not_delay_the_others() -> None:
    async def scenario(log: MemoryLog, start: Callable[..., asyncio.Task[None]]) -> None:
        good, dead = Receiver(), Receiver(failures=[httpx.ConnectError("dead")] * 10_000)
        other = "https://dead.example/"
        start(dead, other, first_pause_s=0.01)
        start(good)
        await _until(lambda: len(log.positions) == 2)
        events = log.emit(200)
        await _until(lambda: log.positions[URL] == 200)
        assert good.accepted == _ids(events)
        assert log.positions[other] == 0
        assert {request.headers["webhook-id"] for request in dead.requests} <= {events[0].task_id}

    _run(scenario)


def test_a_sender_goes_on_where_the_last_one_stopped_and_a_new_url_starts_now() -> None:
    async def scenario(log: MemoryLog, start: Callable[..., asyncio.Task[None]]) -> None:
        log.emit(3)
        receiver = Receiver()
        first = start(receiver)
        await _until(lambda: URL in log.positions)
        log.emit(2)
        await _until(lambda: log.positions[URL] == 5)
        first.cancel()
        missed = log.emit(4)
        start(receiver)
        await _until(lambda: log.positions[URL] == 9)
        assert receiver.accepted == ["task-4", "task-5", *_ids(missed)]

    _run(scenario)


def test_a_disk_that_is_full_for_a_while_neither_ends_the_delivery_nor_repeats_it() -> None:
    async def scenario(log: MemoryLog, start: Callable[..., asyncio.Task[None]]) -> None:
        log.refusals = 2
        receiver = Receiver()
        start(receiver)
        await _until(lambda: URL in log.positions)
        log.refusals = 3
        events = log.emit(10)
        await _until(lambda: log.positions[URL] == 10)
        assert receiver.accepted == _ids(events)

    _run(scenario)


def test_pauses_double_from_half_a_second_to_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def skipped(seconds: float) -> None:
        if seconds >= 0.5:
            pauses.append(seconds)
        await sleep(0)

    async def scenario(log: MemoryLog, _start: Callable[..., asyncio.Task[None]]) -> None:
        receiver = Receiver(failures=[500] * 10)
        async with httpx.AsyncClient(transport=httpx.MockTransport(receiver)) as client:
            sender = asyncio.create_task(WebhookSender(log, URL, SECRET, client=client).run())
            await _until(lambda: URL in log.positions)
            log.emit(1)
            await _until(lambda: log.positions[URL] == 1)
            receiver.failures = [500]
            log.emit(1)
            await _until(lambda: log.positions[URL] == 2)
            sender.cancel()

    monkeypatch.setattr(asyncio, "sleep", skipped)
    _run(scenario)
    assert pauses == [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60, 0.5]


def test_what_is_logged_of_a_failure_tells_neither_message_nor_address(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(log: MemoryLog, start: Callable[..., asyncio.Task[None]]) -> None:
        start(Receiver(failures=[500, httpx.ConnectError(f"cannot reach {URL}")]))
        await _until(lambda: URL in log.positions)
        log.emit(1, "a confidential message")
        await _until(lambda: log.positions[URL] == 1)

    _run(scenario)
    records = [record for record in caplog.records if record.name.startswith("task_scheduler")]
    assert [record.__dict__["task_id"] for record in records] == ["task-1", "task-1"]
    ours = [record.getMessage() for record in records]
    for line in ours:
        assert "receiver.example" in line
        assert not any(private in line for private in ("secret", "token", "abc", "confidential", SECRET))


@pytest.mark.parametrize("secret", [SECRET, SECRET.removeprefix("whsec_"), base64.b64encode(b"x" * 64).decode()])
def test_a_secret_is_base64(secret: str) -> None:
    check_secret(secret)


@pytest.mark.parametrize("secret", ["", "whsec_", "x", "whsec_é", "=", "whsec_!!!"])
def test_what_nothing_can_be_signed_with_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="base64"):
        check_secret(secret)


@pytest.mark.parametrize(
    "url",
    [
        *("", "nonsense", "//host", "ftp://host/", "http://", "http:///path"),
        *("http://[::1", "http://host:port/", "http://host:65536/", "http://host:0/", "http://host:-1/"),
    ],
)
def test_a_webhook_that_is_no_web_address_is_refused(url: str) -> None:
    options = Options(data=Path("tasks.db"), webhooks=[url], webhook_secret=SECRET)
    with pytest.raises(ServeError, match=re.escape(repr(url))):
        options.check()


@pytest.mark.parametrize("url", ["http://host", "https://user:password@host:65535/path?query", "http://[::1]:80/"])
def test_a_webhook_at_a_web_address_is_taken(url: str) -> None:
    Options(data=Path("tasks.db"), webhooks=[url], webhook_secret=SECRET).check()


def test_webhooks_without_a_secret_are_refused_with_a_new_one_to_take() -> None:
    options = Options(data=Path("tasks.db"), webhooks=[URL])
    proposed = set()
    for _ in range(2):
        with pytest.raises(ServeError, match="TASK_SCHEDULER_WEBHOOK_SECRET") as refused:
            options.check()
        proposed.add(str(refused.value).split()[-1])
        check_secret(str(refused.value).split()[-1])
    assert len(proposed) == 2


def test_a_new_webhook_gets_what_is_emitted_after_it_was_opened_also_before_it_runs() -> None:
    """A server opens all of them before it accepts a task; where the disk refuses that, it does not start."""

    async def scenario() -> None:
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

    asyncio.run(scenario())
