"""Reads all that a deployment has in the end: its event log and its tasks; and follows its event stream meanwhile."""

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import httpx

from lab.support.connection import Target
from lab.support.event_stream import EventStream
from lab.support.history import Emitted, Listed, Seen

_PAGE: Final = 1000
_TIMEOUT_S: Final = 60


class Listener(EventStream):
    """Follows the event log from its beginning, and cuts its own connection now and then, as the seed says."""

    def __init__(self, target: Target, seed: str, *, cuts: float, latest_ms: Callable[[], int]) -> None:
        super().__init__(target, self._see, last=0)
        self.seen: Final[list[Seen]] = []
        self._cuts = cuts
        self._latest_ms = latest_ms
        self._random = random.Random(f"listener {seed}")  # noqa: S311 - cuts its own connections

    def _see(self, _position: int, data: bytes) -> None:
        self.seen.append(Seen(Emitted.of(json.loads(data)), self._latest_ms()))
        if self._random.random() < self._cuts:
            self.close()


async def read_log(http: httpx.AsyncClient) -> list[Emitted]:
    """Return the whole event log."""
    found: list[Emitted] = []
    position = 0
    while page := (await _get(http, "events", {"after": position, "limit": _PAGE}))["events"]:
        found += map(Emitted.of, page)
        position = found[-1].sequence
    return found


async def read_tasks(http: httpx.AsyncClient, **query: str) -> list[Listed]:
    """Return all tasks, or those that a query asks for."""
    found: list[Listed] = []
    parameters: dict[str, str | int] = {"limit": _PAGE, **query}
    while True:
        page = await _get(http, "tasks", parameters)
        found += map(Listed.of, page["tasks"])
        if page["cursor"] is None:
            return found
        parameters["cursor"] = page["cursor"]


async def _get(http: httpx.AsyncClient, path: str, parameters: Mapping[str, str | int]) -> Any:  # noqa: ANN401 - JSON
    """Return a response that must come; a machine that is busy with the end of a run may need another attempt."""
    for pause_s in (1, 2, 4, 8, 0):
        with suppress(httpx.HTTPError):
            return (await http.get(path, params=parameters, timeout=_TIMEOUT_S)).raise_for_status().json()
        await asyncio.sleep(pause_s)
    raise TimeoutError(f"GET {path} did not succeed.")
