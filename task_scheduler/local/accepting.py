"""Takes new connections as they come, and stops cleanly: uvicorn's server, with these two done otherwise."""

import asyncio
import errno
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn

from task_scheduler.local.connections import LimitedConnection
from task_scheduler.local.engine import LocalEngine

BACKLOG: Final = 2048
"""How many connections may wait to be accepted."""

_PAUSE_S: Final = 1.0  # before connections are accepted again when this process can have no more
_NO_ROOM: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class AcceptingServer(uvicorn.Server):
    """Stops on SIGINT and SIGTERM with exit code 0, and lets event streams go when it does."""

    def __init__(self, config: uvicorn.Config, engine: LocalEngine, connection: type[LimitedConnection]) -> None:
        super().__init__(config)
        self._engine = engine
        self._connection = connection
        self._begun: set[asyncio.Task[object]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen; uvloop would take one new connection in a turn, and under load they would wait for many turns."""
        await super().startup(sockets=[])
        for listener in sockets or []:
            listener.setblocking(False)  # noqa: FBT003 - its only parameter
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen no more, and end what is open."""
        for listener in sockets or []:
            asyncio.get_running_loop().remove_reader(listener)
        await super().shutdown(sockets)

    def _accept(self, listener: socket.socket) -> None:
        """Take all connections that wait."""
        loop = asyncio.get_running_loop()
        for _ in range(BACKLOG):
            try:
                connection, _peer = listener.accept()
            except OSError as error:
                if error.errno in _NO_ROOM:  # until some have ended
                    loop.remove_reader(listener)
                    loop.call_later(_PAUSE_S, self._listen_again, listener)
                return
            connection.setblocking(False)  # noqa: FBT003 - its only parameter
            begun = loop.create_task(loop.connect_accepted_socket(self._protocol, connection))
            self._begun.add(begun)
            begun.add_done_callback(self._begun.discard)

    def _listen_again(self, listener: socket.socket) -> None:
        if not self.should_exit:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _protocol(self) -> asyncio.Protocol:
        return self._connection(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on a signal; uvicorn's own would raise the signal again after the clean stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, number)
        yield

    def _stop(self, number: signal.Signals) -> None:
        self._engine.end_streams()
        self.handle_exit(number, None)
