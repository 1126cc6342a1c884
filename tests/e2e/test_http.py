"""What arrives over HTTP as real clients send it: offers to upgrade, stray bytes, missing and repeated fields."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

import pytest

from tests.support.local_server import LocalServer

BODY: Final = b'{"in": "1h", "message": "hello"}'
WITHIN_S: Final = 20
HOST: Final = b"host: 127.0.0.1\r\n"
LENGTH: Final = b"content-length: %d\r\n" % len(BODY)
CHUNKED: Final = b"transfer-encoding: chunked\r\n"
CHUNKS: Final = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
UPGRADES: Final = {
    "h2c": b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
    "websocket": b"connection: keep-alive, Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    "unknown": b"connection: upgrade\r\nupgrade: TLS/1.0, something/7\r\n",
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with LocalServer(tmp_path_factory.mktemp("http") / "tasks.db") as running:
        yield running
        assert running.stop() == 0
        assert running.errors == ""


class Wire:
    """One connection, on which bytes are sent as they are."""

    def __init__(self, server: LocalServer) -> None:
        self._socket = socket.create_connection(("127.0.0.1", urlsplit(server.url).port), timeout=WITHIN_S)
        self._received = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def response(self, *, has_body: bool = True) -> tuple[int, bytes]:
        """Return status and body of the next response."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self._received.readline()
            assert line, f"The connection ended after {head!r}"
            head += line
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)\r\n", head)
        body = self._received.read(int(length[1])) if length and has_body else b""
        return int(head.split(b" ")[1]), body

    def is_ended(self) -> bool:
        return self._received.read(1) == b""


def post(*fields: bytes, version: bytes = b"1.1", path: bytes = b"/schedule") -> bytes:
    return b"POST " + path + b" HTTP/" + version + b"\r\n" + b"".join(fields) + b"\r\n"


def assert_scheduled(response: tuple[int, bytes]) -> None:
    status, body = response
    assert status == 200, body
    assert json.loads(body)["id"]


@pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES)
@pytest.mark.parametrize(("framing", "body"), [(LENGTH, BODY), (CHUNKED, CHUNKS)], ids=["content-length", "chunked"])
@pytest.mark.parametrize("split", [0, 1, 10], ids=["at once", "after the head", "within the body"])
def test_an_offer_to_upgrade_loses_no_body(
    server: LocalServer, upgrade: bytes, framing: bytes, body: bytes, split: int
) -> None:
    head = post(HOST, framing, upgrade)
    with Wire(server) as wire:
        for _ in range(2):
            if split:
                wire.send(head + body[: split - 1])
                wire.send(body[split - 1 :])
            else:
                wire.send(head + body)
            assert_scheduled(wire.response())


@pytest.mark.parametrize("upgrade", [b"", *UPGRADES.values()], ids=["none", *UPGRADES])
def test_a_body_is_never_parsed_as_a_request(server: LocalServer, upgrade: bytes) -> None:
    """Request smuggling: the body looks like a request, and a real one follows."""
    smuggled = b"GET /tasks?limit=1 HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
    with Wire(server) as wire:
        wire.send(post(HOST, upgrade, b"content-length: %d\r\n" % len(smuggled)) + smuggled)
        status, body = wire.response()
        assert (status, "not valid JSON" in body.decode()) == (400, True)
        wire.send(post(HOST, LENGTH) + BODY)
        assert_scheduled(wire.response())


@pytest.mark.parametrize(
    "fields",
    [
        b"content-length: 5\r\ncontent-length: 6\r\n",
        b"content-length: +5\r\n",
        b"content-length: 0x5\r\n",
        b"transfer-encoding: xchunked\r\n",
        b"transfer-encoding : chunked\r\n",
        b"content-length: 5\r\n folded: yes\r\n",
    ],
)
def test_ambiguous_framing_ends_the_connection(server: LocalServer, fields: bytes) -> None:
    with Wire(server) as wire:
        wire.send(post(HOST, fields) + b"hello" + post(HOST, LENGTH) + BODY)
        assert wire.response()[0] == 400
        assert wire.is_ended()


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (post(HOST, b"content-length: 5\r\n", CHUNKED) + CHUNKS + post(HOST, LENGTH) + BODY, False),
        *((post(HOST, LENGTH) + BODY + stray, True) for stray in (b"\0", b" ", b"}\r\n\r\n", "ße\r\n\r\n".encode())),
    ],
    ids=["both framings", "null", "space", "brace", "text"],
)
def test_both_framings_or_stray_bytes_end_the_connection_after_the_response(
    server: LocalServer, request_: bytes, *, error: bool
) -> None:
    with Wire(server) as wire:
        wire.send(request_)
        assert_scheduled(wire.response())
        if error:
            assert wire.response()[0] == 400
        assert wire.is_ended()


@pytest.mark.parametrize("fields", [b"", b"host:\r\n", HOST + HOST], ids=["none", "empty", "two"])
def test_a_request_without_one_host_is_rejected(server: LocalServer, fields: bytes) -> None:
    with Wire(server) as wire:
        wire.send(post(fields, LENGTH) + BODY)
        status, body = wire.response()
        assert status == 400
        assert "Host" in json.loads(body)["errors"][0]


def test_http_1_0_needs_no_host_and_gets_no_100_continue(server: LocalServer) -> None:
    with Wire(server) as wire:
        wire.send(post(LENGTH, b"expect: 100-continue\r\n", version=b"1.0") + BODY)
        assert_scheduled(wire.response())
        assert wire.is_ended()


def test_two_servers_never_share_a_port(server: LocalServer, tmp_path: Path) -> None:
    port = urlsplit(server.url).port
    assert port
    assert str(port) in LocalServer(tmp_path / "other.db", port=port).refusal()
