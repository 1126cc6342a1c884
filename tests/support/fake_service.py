"""A service that answers from a script, and both clients behind one interface, so that each rule is tested on both."""

import asyncio
import contextlib
import inspect
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Final, TypeVar

import httpx

from task_scheduler.client import AsyncClient, Client, Event

URL: Final = "http://scheduler.test/v1"
SECRET: Final = "of nobody"  # noqa: S105 - it guards nothing
TASK_ID: Final = "7212730d-85ba-4037-a648-b77db15ff8b1"
# What a terminal, or Rich, could obey.
EVIL: Final = "\x1b[31mred\x1b]0;title\x07 \u202ebackwards \x9b5n\n[bold]x[/] :boom:"
_Item = TypeVar("_Item")
SCHEDULED: Final = {"id": TASK_ID, "message": "Scheduled task at ...", "timestamp": "2026-12-01T08:00:00.000Z"}


def answer(body: object, status: int = 200, **headers: str) -> httpx.Response:
    """An answer of JSON."""
    return httpx.Response(status, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def refusal(status: int, *sentences: str, **headers: str) -> httpx.Response:
    """An error in the API's shape."""
    return answer({"errors": list(sentences)}, status, **headers)


def shown(**fields: object) -> dict[str, Any]:
    """A task as the API shows it."""
    return {
        "id": TASK_ID,
        "status": "scheduled",
        "timestamp": "2026-12-01T08:00:00.000Z",
        "message": "hello",
        "extra": {},
        "created_at": "2026-11-22T08:00:00.000Z",
        "emitted_at": None,
        "cancelled_at": None,
        "failed_at": None,
        **fields,
    }


def envelope(sequence: int) -> dict[str, Any]:
    """An event as the API shows it."""
    return {
        "id": str(sequence),
        "indexed_at_ms": 1_795_305_345_502,
        "event": {"id": f"task {sequence}", "timestamp": "2026-11-21T23:55:45Z", "message": {"n": sequence}},
        "metadata": {"id": f"task {sequence}", "summary": "", "ts": 1_795_305_345_501},
    }


def frame(sequence: int) -> bytes:
    """An event as the stream has it."""
    return b"id: %d\ndata: %s\n\n" % (sequence, json.dumps(envelope(sequence)).encode())


def position(sequence: int) -> bytes:
    """What a stream opens with."""
    return b"event: position\nid: %d\ndata: %d\n\n" % (sequence, sequence)


class Stream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """An answer that is a stream of events, which may end in a cut."""

    def __init__(self, *pieces: bytes | httpx.RequestError) -> None:
        self.pieces = pieces
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, httpx.RequestError):
                raise piece
            yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.close()


Answer = httpx.Response | httpx.RequestError | Stream


@dataclass
class Service:
    """Answers each request with the next line of its script, the last one again and again."""

    script: list[Answer]
    requests: list[httpx.Request] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        self.requests.append(request)
        given = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(given, httpx.RequestError):
            raise given
        if isinstance(given, Stream):
            return httpx.Response(200, headers={"content-type": "text/event-stream; charset=utf-8"}, stream=given)
        return httpx.Response(given.status_code, headers=given.headers, content=given.content)  # each can be read once

    @property
    def bodies(self) -> list[Any]:
        """What was sent."""
        return [json.loads(request.content) for request in self.requests]

    def sent(self, header: str) -> list[str | None]:
        """What each request had in a header."""
        return [request.headers.get(header) for request in self.requests]


async def _collect(items: AsyncGenerator[_Item, None], count: int | None) -> list[_Item]:
    """Take the first items, and leave the iterator."""
    found: list[_Item] = []
    async with contextlib.aclosing(items) as open_items:
        async for item in open_items:
            found.append(item)
            if len(found) == count:
                break
    return found


class Scripted:
    """A client of either kind, and the service that it talks to."""

    def __init__(
        self,
        *script: Answer,
        kind: type[Client | AsyncClient] = Client,
        url: str = URL,
        secret: str = SECRET,
        **options: Any,  # noqa: ANN401 - of the client
    ) -> None:
        self.service = Service([*script])
        options = {"random": lambda: 1.0, "transport": httpx.MockTransport(self.service), **options}

        async def sleep(seconds: float) -> None:
            self.service.pauses.append(seconds)

        self.client: Any = (
            Client(url, secret, sleep=self.service.pauses.append, **options)
            if kind is Client
            else AsyncClient(url, secret, sleep=sleep, **options)
        )

    def call(self, name: str, *arguments: object, **options: object) -> Any:  # noqa: ANN401 - what the call returns
        """Call a method."""
        returned = getattr(self.client, name)(*arguments, **options)
        return asyncio.run(returned) if inspect.iscoroutine(returned) else returned

    def tasks(self, count: int | None = None, **options: Any) -> list[str]:  # noqa: ANN401 - of the list
        """Return the ids of the first tasks in a list."""
        return [task.id for task in self._take(self.client.list(**options), count)]

    def events(self, count: int, after: int | None = None, dropped: Callable[..., None] | None = None) -> list[Event]:
        """Follow the stream for a while, and leave it."""
        return self._take(self.client.events(after, dropped=dropped), count)

    def _take(self, items: Any, count: int | None) -> list[Any]:  # noqa: ANN401 - an iterator of either kind
        if isinstance(items, AsyncGenerator):
            return asyncio.run(_collect(items, count))
        with contextlib.closing(items):
            return list(islice(items, count))


Kind = partial[Scripted]
