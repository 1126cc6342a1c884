"""What goes out together, and what must not wait for that."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest
import uvicorn

from task_scheduler.local.connections import LimitedConnection
from task_scheduler.local.gathering import GatheringTransport
from tests.unit.observations import Observations

REQUEST: Final = b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"


class Wire(asyncio.Transport):
    """A transport that notes what it is asked to do."""

    def __init__(self) -> None:
        super().__init__({"sockname": ("127.0.0.1", 1), "peername": ("127.0.0.1", 2)})
        self.did: list[bytes | str] = []

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        self.did.append(bytes(data))

    def write_eof(self) -> None:
        self.did.append("eof")

    def close(self) -> None:
        self.did.append("close")

    def is_closing(self) -> bool:
        return "close" in self.did


async def answered(wire: Wire, request: bytes, pieces: list[bytes]) -> None:
    """Serve one request on the wire, with an answer of these pieces."""
    done = asyncio.Event()

    async def app(_scope: object, _receive: object, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        length = str(sum(map(len, pieces))).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        for piece in pieces[:-1]:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": pieces[-1]})
        done.set()

    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none")
    config.load()
    connection = type("Observed", (LimitedConnection,), {"observer": Observations()})(
        config=config, server_state=uvicorn.server.ServerState(), app_state={}
    )
    connection.connection_made(wire)
    connection.data_received(request)
    await done.wait()
    await asyncio.sleep(0)


def test_an_answer_goes_out_as_one_whole() -> None:
    wire = Wire()
    asyncio.run(answered(wire, REQUEST, [b"hello"]))
    [whole] = wire.did
    assert isinstance(whole, bytes)
    assert whole.startswith(b"HTTP/1.1 200 OK\r\n")
    assert whole.endswith(b"\r\n\r\nhello")


def test_an_answer_that_ends_the_connection_goes_out_before_its_end() -> None:
    wire = Wire()
    asyncio.run(answered(wire, REQUEST.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"), [b"hello"]))
    [whole, end] = wire.did
    assert isinstance(whole, bytes)
    assert (whole[-5:], end) == (b"hello", "close")


def test_the_head_alone_goes_out_where_there_is_no_body() -> None:
    wire = Wire()
    asyncio.run(answered(wire, REQUEST.replace(b"GET", b"HEAD"), [b"hello"]))
    [head] = wire.did
    assert isinstance(head, bytes)
    assert head.endswith(b"\r\n\r\n")


def test_much_is_not_held() -> None:
    """The transport must see it: it tells the writer when to stop."""
    wire = Wire()
    asyncio.run(answered(wire, REQUEST, [bytes(30_000)] * 10))
    sizes = [len(part) for part in wire.did]
    assert len(sizes) > 2
    assert all(size <= 65_536 + 30_000 for size in sizes)
    assert sum(sizes) > 300_000


@pytest.mark.parametrize("end", ["write_eof", "close"])
def test_nothing_is_lost_at_the_end_or_sent_twice(end: str) -> None:
    async def scenario() -> list[bytes | str]:
        wire = Wire()
        gathering = GatheringTransport(wire, asyncio.get_running_loop())
        gathering.write(b"a")
        gathering.write(b"b")
        getattr(gathering, end)()
        await asyncio.sleep(0)
        gathering.write(b"c")
        await asyncio.sleep(0)
        return wire.did

    after = [] if end == "close" else [b"c"]
    assert asyncio.run(scenario()) == [b"ab", end.removeprefix("write_"), *after]


def test_what_was_written_before_the_other_side_left_goes_nowhere() -> None:
    """It would be logged as an error of the server: uvloop raises one for a connection that is gone."""

    class Gone(Wire):
        def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
            if self.is_closing():
                raise RuntimeError("the handler is closed")
            super().write(data)

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        complaints: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        wire = Gone()
        gathering = GatheringTransport(wire, loop)
        gathering.write(b"an answer")
        wire.close()  # as a reset does, or a limit of the connection
        await asyncio.sleep(0)
        gathering.write(b"another")
        gathering.close()
        await asyncio.sleep(0)
        assert complaints == []
        assert wire.did == ["close", "close"]

    asyncio.run(scenario())
