"""A network between client and server that can be cut at any byte."""

import socket
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock, Thread
from types import TracebackType
from typing import Final, Self

import httpx

_AT_ONCE: Final = 4_096  # bytes


@dataclass(frozen=True)
class Connection:
    """The bytes that have passed so far on the connection of a client."""

    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)


class CuttingProxy:
    """Passes bytes on between its clients and one server; `url` is the server's, by way of here."""

    def __init__(self, url: str) -> None:
        server = httpx.URL(url)
        self._server = (server.host, server.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.connections: list[Connection] = []
        self.url = str(server.copy_with(host="127.0.0.1", port=self._listener.getsockname()[1]))
        self._lock = Lock()
        self._open: set[socket.socket] = set()
        self._left: int | None = None
        self._threads = [Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._listener.close()
        self._threads[0].join()
        self.cut()
        for thread in self._threads:
            thread.join()

    def cut(self) -> None:
        """Cut every connection now."""
        with self._lock:
            self._left = None
            for end in self._open:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def cut_after(self, octets: int) -> None:
        """Cut every connection, once, when so many more bytes have gone from the server to its clients."""
        with self._lock:
            self._left = octets

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            connection = Connection()
            self.connections.append(connection)
            with self._lock:
                self._open |= {client, server}
            for source, sink, passed in ((client, server, connection.sent), (server, client, connection.received)):
                self._threads.append(Thread(target=self._pass_on, args=(source, sink, source is server, passed)))
                self._threads[-1].start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, downwards: bool, passed: bytearray) -> None:  # noqa: FBT001 - a thread's argument
        with suppress(OSError):
            while octets := source.recv(_AT_ONCE):
                passed += octets
                sink.sendall(self._taxed(octets) if downwards else octets)
                if downwards and self._left == 0:
                    self.cut()
        with self._lock:
            for end in (source, sink):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            self._open.discard(source)
        source.close()

    def _taxed(self, octets: bytes) -> bytes:
        """Return as much of `octets` as may still go."""
        with self._lock:
            if self._left is not None:
                octets = octets[: self._left]
                self._left -= len(octets)
        return octets
