"""The event log, followed as Server-Sent Events, by a parser that takes no other frames than design has."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import httpx

from tests.support.api import Api
from tests.support.clock import now_ms
from tests.support.contract import JsonObject

_WITHIN: Final = 60  # seconds; long enough for anything here, so that a test fails rather than hangs
EVENT_STREAM: Final = "text/event-stream"
_FIELDS: Final = {"id", "event", "data"}


@dataclass(frozen=True)
class Frame:
    """An event, a `retry` or a comment."""

    fields: dict[str, str] = field(default_factory=dict)
    comment: str | None = None
    arrived_ms: int = field(default_factory=now_ms, compare=False)

    @property
    def is_event(self) -> bool:
        """Whether an `onmessage` handler sees it."""
        return "data" in self.fields and "event" not in self.fields

    @property
    def number(self) -> int:
        """Its place in the log."""
        return int(self.fields["id"])

    @property
    def envelope(self) -> JsonObject:
        """The JSON in it."""
        envelope: JsonObject = json.loads(self.fields["data"])
        return envelope

    @property
    def task_id(self) -> str:
        """The task that was emitted."""
        return str(self.envelope["metadata"]["id"])


@contextmanager
def stream(
    api: Api, *, last_event_id: int | None = None, after: int | None = None, within: float = _WITHIN
) -> Iterator[Iterator[Frame]]:
    """Open one connection; it ends when the server ends it or the block is left, and fails after `within` seconds."""
    deadline = time.monotonic() + within
    headers = api.secret | {"accept": EVENT_STREAM}
    if last_event_id is not None:
        headers["last-event-id"] = str(last_event_id)
    query = "" if after is None else f"?after={after}"
    with api.http.stream("GET", f"/events{query}", headers=headers) as response:
        assert response.status_code == httpx.codes.OK, response.read()
        assert response.headers["content-type"].partition(";")[0] == EVENT_STREAM
        yield _frames(response, deadline)


def position(api: Api) -> int:
    """Return the position that a stream tells when it starts now."""
    with stream(api) as frames:
        for frame in frames:
            if frame.fields.get("event") == "position":
                return frame.number
    raise AssertionError("the stream ended before it told its position")


def follow(api: Api, *, after: int, wanted: set[str], cut_after: Callable[[], int] | None = None) -> list[Frame]:
    """Return all events after `after` until each of the `wanted` tasks came.

    Comes back with Last-Event-ID whenever the stream ends, and cuts it itself after `cut_after()` events.
    """
    seen: list[Frame] = []
    missing = set(wanted)
    deadline = time.monotonic() + _WITHIN
    while missing:
        last = seen[-1].number if seen else after
        budget = cut_after() if cut_after else None
        told_when_to_return = False
        with stream(api, last_event_id=last, within=deadline - time.monotonic()) as frames:
            for frame in frames:
                told_when_to_return |= "retry" in frame.fields
                if frame.is_event:
                    seen.append(frame)
                    missing.discard(frame.task_id)
                    budget = None if budget is None else budget - 1
                if not missing or budget == 0:
                    break
            else:
                assert told_when_to_return, "a stream that ends must say when to come back"
    return seen


def _frames(response: httpx.Response, deadline: float) -> Iterator[Frame]:
    """Yield comments and `retry` as their lines come, as a client takes them; events when their empty line comes."""
    text = b""
    fields: dict[str, str] = {}
    for chunk in response.iter_bytes():
        assert time.monotonic() < deadline, "what was looked for did not come in time"
        *lines, text = (text + chunk).split(b"\n")
        for line in lines:
            name, _, value = line.decode().partition(":")
            assert "\r" not in value, "a carriage return ends a line for a client"
            assert name not in fields, f"twice in one frame: {line[:80]!r}"
            if not line:
                if fields:
                    yield Frame(fields)
                fields = {}
            elif not name:
                yield Frame(comment=value)
            elif name == "retry":
                yield Frame({name: value.strip()})
            else:
                assert name in _FIELDS, f"not a field of a stream: {line[:80]!r}"
                fields[name] = value.removeprefix(" ")
    assert not text, f"the stream ended within a line: {text[:200]!r}"
    assert not fields, f"the stream ended within a frame: {fields}"
