"""A server with a secret, and each client that is installed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.clients.client import Client, Program
from tests.clients.installed import CLIENTS, Kind, NotInstalledError
from tests.support.api import Deployment
from tests.support.cutting_proxy import CuttingProxy
from tests.support.local_server import LocalServer

_SECRET: Final = "secret-of-the-clients"  # noqa: S105 - of a server that lives for a minute


class Clients:
    """Starts each client when it is wanted first, and keeps it: to start all of them takes seconds."""

    def __init__(self, folder: Callable[[str], Path]) -> None:
        self._folder = folder
        self._started: dict[str, Client] = {}
        self._missing: dict[str, str] = {}

    def get(self, name: str) -> Client:
        """Return a client; skips the test, with the reason, if it is not installed."""
        client = self._started.get(name)
        if client is None or (isinstance(client, Program) and client.ended):
            if name not in self._missing:
                try:
                    self._started[name] = CLIENTS[name].start(self._folder(name))
                except NotInstalledError as error:
                    self._missing[name] = str(error)
            if name in self._missing:
                pytest.skip(self._missing[name])
        return self._started[name]

    def stop(self) -> None:
        for client in self._started.values():
            client.stop()


@pytest.fixture(scope="session")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    started = Clients(tmp_path_factory.mktemp)
    yield started
    started.stop()


@pytest.fixture
def client(name: str, clients: Clients) -> Client:
    return clients.get(name)


@pytest.fixture
def kind(name: str) -> Kind:
    return CLIENTS[name]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with LocalServer(tmp_path_factory.mktemp("clients") / "tasks.db", secret=_SECRET) as started:
        yield Deployment(started.url, _SECRET, "local")


@pytest.fixture
def proxy(server: Deployment) -> Iterator[CuttingProxy]:
    with CuttingProxy(server.url) as listening:
        yield listening
