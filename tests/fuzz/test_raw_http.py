"""Any bytes on a connection to the local server: an answer of the usual shape or an end, soon; and it serves on."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.effort import effort
from tests.fuzz.engines import SECRET
from tests.support.local_server import LocalServer

pytestmark = pytest.mark.slow

QUIET_S: Final = 0.15  # after so long without a byte there is nothing to come; then the client ends its half
WITHIN_S: Final = 20  # seconds: then the server hangs
AT_ONCE: Final = 8
BY_DESIGN: Final = {501, 503}
OF_THE_HTTP_SERVER: Final = {400, 414, 431}
"""Without a body: what Granian rejects by itself, before it is a request."""
ANSWER: Final = re.compile(rb"HTTP/1\.[01] (\d{3}) [^\r]*\r\n(.*?)\r\n\r\n", re.DOTALL)

METHODS: Final = st.sampled_from(b"GET POST PATCH DELETE PUT OPTIONS HEAD TRACE CONNECT PRI get G\0T ".split(b" "))
PATHS: Final = (
    b"/ /schedule /schedule/batch /cancel /tasks /tasks/%ff /tasks/%00 /events /health * // //x:9/ /% /%zz "
    b"/assets/..%2f.. http://127.0.0.1/health http://[::1/health 127.0.0.1:80 /tasks?limit=\xff /tasks?%ff=%00&&= "
    b"/health#x ? /\xe9"
)
TARGETS: Final = st.sampled_from([*PATHS.split(b" "), b"/" + b"a" * 70_000])
VERSIONS: Final = st.sampled_from(
    [b"HTTP/1.1"] * 5 + [b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/9.9", b"http/1.1", b""]
)
HEADERS: Final = st.sampled_from(
    [
        b"host: [",
        b"host: 127.0.0.1",
        b"host: a:99999999999",
        b"host: \xff",
        b"content-length: 5",
        b"content-length: -1",
        b"content-length: 1_0",
        b"content-length: 99999999999999999999",
        b"content-length: 5\r\ncontent-length: 6",
        b"transfer-encoding: chunked",
        b"transfer-encoding: x",
        b"transfer-encoding: chunked\r\ncontent-length: 5",
        b"accept: text/event-stream",
        b"last-event-id: \xd9\xa3",
        b"last-event-id: 0",
        b"expect: 100-continue",
        b"upgrade: websocket\r\nconnection: upgrade",
        b"upgrade: h2c",
        b"connection: close",
        b"idempotency-key: \xff",
        b"x-pd-secret: \0",
        b"x-pd-secret: x\r\nx-pd-secret: y",
        b"x: " + b"y" * 70_000,
        b" folded",
        b"no colon",
        b": no name",
        b"x\0y: z",
        b"content-encoding: gzip",
    ]
)
BODIES: Final = st.sampled_from(
    [
        b"",
        b'{"in": 60, "message": 1}',
        b"{}",
        b'5\r\n{"in"\r\n0\r\n\r\n',
        b"zz\r\n",
        b"-1\r\n",
        b"ffffffffffffffffff\r\nx",
        b"5;x=y\r\nhello\r\n0\r\na: b\r\n\r\n",
        b"\0" * 10,
    ]
) | st.binary(max_size=20)
SECRETS: Final = st.sampled_from([f"x-pd-secret: {SECRET}".encode()] * 3 + [b"x-pd-secret: wrong", b"x: y"])


def _request(method: bytes, target: bytes, version: bytes, headers: list[bytes], body: bytes) -> bytes:
    return b"\r\n".join([b" ".join([method, target, version]), *headers, b"", body])


REQUESTS: Final = st.builds(
    _request,
    METHODS,
    TARGETS,
    VERSIONS,
    st.tuples(SECRETS, st.lists(HEADERS, max_size=3)).map(lambda drawn: [drawn[0], *drawn[1]]),
    BODIES,
)


def _mutated(request: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for start, length, piece in edits:
        at = start % (len(request) + 1)
        request = request[:at] + piece + request[at + length :]
    return request


SENT: Final = st.one_of(
    REQUESTS,
    st.builds(
        _mutated,
        REQUESTS,
        st.lists(st.tuples(st.integers(0, 300), st.integers(0, 3), st.binary(max_size=3)), max_size=4),
    ),
    st.lists(REQUESTS, min_size=2, max_size=4).map(b"".join),
    st.binary(max_size=60),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with LocalServer(tmp_path_factory.mktemp("raw") / "tasks.db", secret=SECRET) as running:
        yield running
        assert running.stop() == 0
        assert running.errors == ""  # what is sent must not fill the log


@effort(8)
@given(st.lists(SENT, min_size=AT_ONCE, max_size=AT_ONCE))
@example([_request(method, b"*", b"HTTP/1.1", [b"host: x"], b"") for method in (b"GET", b"OPTIONS")])
@example([_request(b"GET", b"/nothing", b"HTTP/1.1", [b"host: " + host], b"") for host in (b"[", b"a/b", b"\xff", b"")])
def test_any_bytes_are_answered_or_cut_and_the_server_serves_on(server: LocalServer, sent: list[bytes]) -> None:
    with ExitStack() as stack:
        address = ("127.0.0.1", urlsplit(server.url).port)
        clients = [stack.enter_context(socket.create_connection(address, timeout=WITHIN_S)) for _ in sent]
        for client, request in zip(clients, sent, strict=True):
            _send(client, request)
        for client, request in zip(clients, sent, strict=True):
            _check(_received(client), request)
    assert httpx.get(f"{server.url}/health", timeout=WITHIN_S).status_code == 200


def _send(client: socket.socket, request: bytes) -> None:
    try:
        client.sendall(request)
    except (BrokenPipeError, ConnectionResetError):
        return  # it was refused before all of it was sent


def _received(client: socket.socket) -> bytes:
    """Return what comes until there is nothing more; then end our half, and the server must end its own."""
    found = b""
    client.settimeout(QUIET_S)
    try:
        while piece := client.recv(65_536):
            found += piece
    except TimeoutError:
        client.settimeout(WITHIN_S)
        client.shutdown(socket.SHUT_WR)
        found += _rest(client)
    except ConnectionResetError:
        pass
    return found


def _rest(client: socket.socket) -> bytes:
    found = b""
    try:
        while piece := client.recv(65_536):
            found += piece
    except ConnectionResetError:
        pass
    return found


def _check(received: bytes, request: bytes) -> None:
    """Walk through the answers on a connection; one to HEAD has no body, and a stream is not looked into."""
    if b"HEAD" in request or b"text/event-stream" in request:
        return
    while match := ANSWER.match(received):
        status, head = int(match[1]), match[2].lower()
        length = re.search(rb"content-length: (\d+)", head)
        body = received[match.end() :][: int(length[1]) if length else 0]
        received = received[match.end() + len(body) :]
        assert status < 500 or status in BY_DESIGN, (status, body, request)
        if not body and status in OF_THE_HTTP_SERVER:
            continue
        if status >= 400:
            errors = json.loads(body)["errors"]
            assert errors, request
            assert all(" " in sentence for sentence in errors), request
    assert not received, f"no answer: {received[:200]!r} to {request[:200]!r}"
