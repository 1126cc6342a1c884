"""Granian, embedded in this process: HTTP in, ASGI out.

It parses HTTP in a thread of its own (hyper, in Rust) and calls the application on the running event loop. It binds its
port by itself, with SO_REUSEPORT, which lets programs of the same user share a port unnoticed. `reserve` keeps a second
Task Scheduler out, and is refused a port that is in use; a program that sets SO_REUSEPORT itself is not kept out.
"""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from task_scheduler.local.asgi import Application
from task_scheduler.local.limits import Limits

_BACKLOG: Final = 2_048
"""Connections that may wait to be accepted."""
_GRACE_S: Final = 5
"""For requests in progress when the server stops."""
_START_S: Final = 10


@contextmanager
def port_lock(host: str, port: int) -> Iterator[None]:
    """Hold a lock of this address inside; raises OSError if another Task Scheduler holds it.

    Linux lets two sockets with SO_REUSEADDR bind one port while neither listens: two servers that start together.
    """
    if sys.platform != "linux" or port == 0:
        yield
        return
    with socket.socket(socket.AF_UNIX) as lock:
        lock.bind(f"\0task-scheduler {host} {port}")  # in the abstract namespace: gone with the process (unix(7))
        yield


def reserve(host: str, port: int) -> socket.socket:
    """Bind `host` and `port` (0: a free one) for this process alone; raises OSError if they are in use."""
    [(family, kind, protocol, _name, address), *_] = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    reserved = socket.socket(family, kind, protocol)
    try:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(address)
    except BaseException:
        reserved.close()
        raise
    return reserved


@asynccontextmanager
async def serving(
    application: Application, reserved: socket.socket, limits: Limits
) -> AsyncIterator[asyncio.Task[None]]:
    """Serve on the reserved address inside; yields the task that serves, which ends early only if it fails.

    At the end, no connection is accepted any more, and requests in progress have five seconds. Raises OSError or
    TimeoutError if the server does not start.
    """
    host, port = reserved.getsockname()[:2]
    server = Server(
        application,
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        backlog=_BACKLOG,
        backpressure=limits.max_connections,
        http1_settings=HTTP1Settings(
            header_read_timeout=round(limits.header_timeout_s * 1_000), max_buffer_size=limits.max_header_bytes
        ),
        log_enabled=False,
    )
    # After bind, which has failed if the port was in use: from here on Granian may bind it, too.
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    task = asyncio.create_task(server.serve())
    try:
        await _until_listening(task, host, port)
        reserved.close()
        _limit_unread(port, limits.write_timeout_s)
        yield task
    finally:
        server.stop()  # type: ignore[no-untyped-call]  # as Granian has it
        await asyncio.wait([task], timeout=_GRACE_S)


async def _until_listening(task: asyncio.Task[None], host: str, port: int) -> None:
    """Wait until connections are accepted; Granian reports it by nothing but a line of its log."""
    async with asyncio.timeout(_START_S):
        while not task.done():
            try:
                _reader, writer = await asyncio.open_connection(host, port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.001)
            else:
                writer.close()
                return
    raise OSError("the HTTP server has ended")


def _limit_unread(port: int, seconds: int) -> None:
    """Have Linux cut a connection whose client acknowledges nothing, or takes nothing, for so long.

    Connections inherit the option from their listener (tcp(7), TCP_USER_TIMEOUT). Granian has no setting for it and
    shows nobody its listener, so it is looked up among the open files of this process.
    """
    if sys.platform != "linux":
        return
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # a descriptor that was closed meanwhile, or is no socket
            if not str(link.readlink()).startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(link.name))) as candidate:
                accepts = candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
                if accepts and candidate.getsockname()[1:2] == (port,):
                    candidate.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, seconds * 1_000)
                    return
    raise OSError("the listener was not found")
