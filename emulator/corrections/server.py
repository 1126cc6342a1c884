"""The server itself: its ports, how it stops, and the connections that it loses."""

import asyncio.constants
import socket
import struct
import time
from typing import Final

from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.events import Event, Updated
from ministack import app  # type: ignore[import-untyped]  # it has no types

from emulator.rules import Clock

_SIGNED: Final = b"AWS4-HMAC-SHA256"
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


def listen_on_one_port() -> None:
    """With TLS it would listen on port 443 too, where it may: for Cognito, which this project does not use."""
    app._port_is_bindable = lambda _host, _port: False  # noqa: SLF001 - there is no setting for it


def stop_in_time() -> None:
    """Do not wait 30 s, asyncio's default, for each client that keeps a TLS connection open to close it.

    The emulator would be killed before that, its state unsaved.
    """
    asyncio.constants.SSL_SHUTDOWN_TIMEOUT = 0.5


class _PurgedReader:
    """Reads from a connection, but resets it if an SDK uses it again after too long a pause."""

    def __init__(self, server: TCPServer, idle_s: float, clock: Clock) -> None:
        self.idle_since: float | None = None  # None while a request is under way, and before the first
        self._reader: Final = server.reader
        self._writer: Final = server.writer
        self._idle_s: Final = idle_s
        self._clock: Final = clock

    def at_eof(self) -> bool:
        return self._reader.at_eof()

    async def read(self, size: int) -> bytes:
        data = await self._reader.read(size)
        if self.idle_since is not None and self._clock() - self.idle_since > self._idle_s and _SIGNED in data:
            connection: socket.socket = self._writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._writer.transport.abort()
            raise ConnectionResetError
        return data


def lose_idle_connections(idle_s: float, clock: Clock = time.monotonic) -> None:
    """Reset a connection when an SDK sends a request on it after more than `idle_s` seconds without any.

    A client that tries once sees a ConnectionClosedError; no request that the server has read is lost. "Lambda purges
    idle connections over time. Attempting to reuse an idle connection when invoking a function will result in a
    connection error": https://docs.aws.amazon.com/lambda/latest/dg/best-practices.html. The reset comes with the next
    request and not before, since a function that was frozen has not seen it either, while urllib3 would see it at once.
    Requests without a signature (those to the API itself) keep their connections: API Gateway closes them in order.
    """
    if not idle_s:
        return
    read_data, send = TCPServer._read_data, TCPServer.protocol_send  # noqa: SLF001 - there is no other place to take hold of

    async def read_unless_purged(self: TCPServer) -> None:
        self.reader = _PurgedReader(self, idle_s, clock)  # type: ignore[assignment]  # it has what is used of one
        await read_data(self)

    async def send_and_note(self: TCPServer, event: Event) -> None:
        if isinstance(event, Updated) and isinstance(self.reader, _PurgedReader):
            self.reader.idle_since = clock() if event.idle else None
        await send(self, event)

    TCPServer._read_data = read_unless_purged  # type: ignore[method-assign]  # noqa: SLF001 - the same
    TCPServer.protocol_send = send_and_note  # type: ignore[method-assign]
