"""A lean HTTP/1.1 client: what a request costs here is taken from the server that shares the machine."""

import asyncio
import json
import ssl
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self, cast
from urllib.parse import urlsplit

import httptools

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_KEPT_S: Final = 5.0  # less than servers keep one that is idle, or it might be cut while a request is on its way


@dataclass(frozen=True)
class Target:
    """Where the server is."""

    url: str
    secret: str | None = None

    async def connect(self, protocol: asyncio.Protocol) -> None:
        """Open a connection; raises OSError."""
        parts = urlsplit(self.url)
        secure = ssl.create_default_context() if parts.scheme == "https" else None
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
        await asyncio.get_running_loop().create_connection(lambda: protocol, parts.hostname or "", port, ssl=secure)

    def head(self, method: str, path: str, fields: Mapping[str, str], body: bytes = b"") -> bytes:
        """Return a request as it goes over the wire."""
        parts = urlsplit(self.url)
        lines = [f"{method} {parts.path.rstrip('/')}{path} HTTP/1.1", f"host: {parts.netloc}"]
        lines += [] if self.secret is None else [f"x-pd-secret: {self.secret}"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        lines += [f"content-length: {len(body)}"] if body else []
        return "\r\n".join((*lines, "", "")).encode() + body


class Connection(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self) -> None:
        self._response: asyncio.Future[tuple[int, bytes]] | None = None
        self.open = False
        """Whether another request can be sent."""
        self.idle_since_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to write to."""
        self._transport = cast("asyncio.Transport", transport)
        self.open = True

    async def send(self, request: bytes) -> tuple[int, bytes]:
        """Return the status and the body of the response; raises ConnectionError."""
        self._parser = httptools.HttpResponseParser(self)
        self._body = bytearray()
        self._response = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._response
        finally:
            if not self._response.done() or self._response.cancelled():  # else it might be taken for the next one
                self.close()
            self._response = None

    def close(self) -> None:
        """Cut it."""
        self.open = False
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take a part of the response."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def on_body(self, body: bytes) -> None:
        """Take a part of its body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Hand the response over."""
        self.open = self.open and self._parser.should_keep_alive()
        if self._response is not None and not self._response.done():
            self._response.set_result((self._parser.get_status_code(), bytes(self._body)))

    def connection_lost(self, _error: Exception | None) -> None:
        """Tell who waits."""
        self.open = False
        if self._response is not None and not self._response.done():
            self._response.set_exception(ConnectionResetError("The server has cut the connection"))


class Pool:
    """Connections to one server, as many as are needed at once."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._idle: deque[Connection] = deque()
        self._all: set[Connection] = set()

    async def __aenter__(self) -> Self:
        """Open nothing yet."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cut all of them."""
        self.close()

    async def send(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """Return the status and the body of the response; raises OSError."""
        content = b"" if body is None else json.dumps(body).encode()
        fields = {"content-type": "application/json"} if content else {}
        connection = await self._connected()
        try:
            return await connection.send(self._target.head(method, path, fields, content))
        finally:
            if connection.open:
                connection.idle_since_s = time.monotonic()
                self._idle.append(connection)
            else:
                connection.close()
                self._all.discard(connection)

    async def json(self, path: str) -> Any:  # noqa: ANN401 - whatever the server has there
        """Return the JSON of a GET, which must succeed."""
        status, body = await self.send("GET", path)
        if status != 200:  # noqa: PLR2004 - the only good one
            raise ConnectionError(f"GET {path} got {status}")
        return json.loads(body)

    def close(self) -> None:
        """Cut all of them."""
        for connection in self._all:
            connection.close()

    async def _connected(self) -> Connection:
        while self._idle:  # the last one first: the others may end for want of use
            connection = self._idle.pop()
            if connection.open and time.monotonic() < connection.idle_since_s + _KEPT_S:
                return connection
            connection.close()
            self._all.discard(connection)
        connection = Connection()
        await self._target.connect(connection)
        self._all.add(connection)
        return connection
