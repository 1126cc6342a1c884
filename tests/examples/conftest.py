"""A local engine with a test clock, and the examples beside it."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.examples.printed import Workplace
from tests.support.api import Api
from tests.support.contract import JsonObject
from tests.support.local_server import LocalServer

_SECRET: Final = "of a server that lives for a second"  # noqa: S105 - it guards nothing


@dataclass(frozen=True)
class Engine:
    """The local engine, with a clock to set forward."""

    url: str
    secret: str
    api: Api

    def advance(self, by: str) -> None:
        """Set the clock forward; then all that was due by then is emitted."""
        self.api.http.post("/clock", json={"advance": by}, headers=self.api.secret).raise_for_status()

    def events(self) -> list[JsonObject]:
        """Return all that was emitted."""
        return list(self.api.send("GET", "/events?limit=1000").body["events"])

    def messages(self) -> list[object]:
        """Return the messages of all that was emitted."""
        return [envelope["event"]["message"] for envelope in self.events()]

    def waiting(self) -> list[JsonObject]:
        """Return all tasks that are scheduled, soonest first."""
        return list(self.api.send("GET", "/tasks?status=scheduled&limit=1000").body["tasks"])


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A server for one test."""
    with LocalServer(tmp_path / "tasks.db", secret=_SECRET, options=("--test-clock",)) as server:
        api = server.api()
        yield Engine(server.url, _SECRET, api)


@pytest.fixture
def workplace(engine: Engine, tmp_path: Path) -> Workplace:
    """A folder to run the examples in, against that server."""
    folder = tmp_path / "work"
    folder.mkdir()
    return Workplace(folder, engine.url, engine.secret)


@pytest.fixture
def nowhere(tmp_path: Path) -> Iterator[Workplace]:
    """A folder to run the examples in, where no server listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield Workplace(tmp_path, f"http://127.0.0.1:{taken.getsockname()[1]}")
