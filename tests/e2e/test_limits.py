"""Clients that are slow, silent, greedy or many, beside one that behaves."""

import json
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from task_scheduler.local.connections import (
    USED_OF_THE_CYCLE,
    USED_OF_THE_FLOW,
    USED_OF_THE_PROTOCOL,
    Limits,
    limits_of_this_process,
)
from tests.conformance.clock import eventually
from tests.conformance.local_server import LocalServer

LIMITS: Final[dict[str, float]] = {
    "header_bytes": 10_000,
    "header_s": 0.8,
    "body_bytes": 34_000_000,
    "body_s": 1.2,
    "unread_s": 1.6,
    "idle_s": 1,
    "linger_s": 0.5,
    "connections": 120,
    "streams": 3,
}
WITHIN: Final = 20  # seconds: then a test fails
BODY: Final = {"in": "1h", "message": "hello"}
STREAM: Final = b"GET /events%s HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n\r\n"

pytestmark = pytest.mark.slow


class LimitedServer(LocalServer):
    """One with the limits that it is given."""

    program = ("-m", "tests.e2e.limited_server")


@contextmanager
def limited_server(folder: Path, **limits: float) -> Iterator[LocalServer]:
    options = ("--limits", json.dumps(LIMITS | limits))
    with LimitedServer(folder / "tasks.db", options=options) as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with limited_server(tmp_path_factory.mktemp("limited")) as running:
        yield running
        assert "Traceback" not in running.errors


@contextmanager
def connected(server: LocalServer, *, receive_bytes: int | None = None) -> Iterator[socket.socket]:
    with closing(socket.socket()) as client:
        if receive_bytes is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        client.settimeout(WITHIN)
        client.connect(("127.0.0.1", urlsplit(server.url).port))
        yield client


def rest(client: socket.socket) -> bytes:
    """Return what still comes until the server ends the connection."""
    found = b""
    deadline = time.monotonic() + WITHIN
    try:
        while piece := client.recv(65_536):
            found += piece
            assert time.monotonic() < deadline, "the server goes on"
    except ConnectionResetError:
        pass
    return found


def until(client: socket.socket, end: bytes) -> bytes:
    """Return what comes up to the piece that has `end` in it."""
    found = b""
    while end not in found:
        piece = client.recv(65_536)
        assert piece, found
        found += piece
    return found


def head_and_errors(answer: bytes) -> tuple[str, list[str]]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.decode().lower(), json.loads(body)["errors"]


def assert_refused(answer: bytes, status: int) -> None:
    head, errors = head_and_errors(answer)
    assert head.startswith(f"http/1.1 {status} ")
    assert "content-type: application/json" in head
    assert "connection: close" in head
    [sentence] = errors
    assert " " in sentence


def assert_serves(server: LocalServer) -> None:
    assert httpx.post(f"{server.url}/schedule", json=BODY, timeout=WITHIN).status_code == 200


def drip(client: socket.socket, piece: bytes) -> bool:
    """Send a little every now and then; tells whether the server ended that."""
    client.settimeout(0.05)
    for _ in range(int(WITHIN / 0.05)):
        try:
            client.sendall(piece)
            if client.recv(1, socket.MSG_PEEK) is not None:
                client.settimeout(WITHIN)
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


def test_headers_that_drip_in_end_the_connection(server: LocalServer) -> None:
    with connected(server) as client:
        client.sendall(b"GET /health HTTP/1.1\r\n")
        begin = time.monotonic()
        assert drip(client, b"x-a: b\r\n")
        assert time.monotonic() - begin >= LIMITS["header_s"]
        assert_refused(rest(client), 408)


def test_a_connection_that_says_nothing_ends_without_a_word(server: LocalServer) -> None:
    with connected(server) as client:
        assert rest(client) == b""


def test_time_for_headers_counts_again_on_a_connection_that_was_kept(server: LocalServer) -> None:
    with connected(server) as client:
        for _ in range(2):
            client.sendall(b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
            assert until(client, b"version").startswith(b"HTTP/1.1 200 ")
        client.sendall(b"G")
        assert_refused(rest(client), 408)


@pytest.mark.parametrize("blank", [b"\r\n", b""])
def test_a_connection_between_two_requests_is_kept_for_a_while(server: LocalServer, blank: bytes) -> None:
    """Also one on which empty lines come, which are no request."""
    with connected(server) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        assert until(client, b"version").startswith(b"HTTP/1.1 200 ")
        begin = time.monotonic()
        client.sendall(blank)
        rest(client)
        assert time.monotonic() - begin >= min(LIMITS["header_s"], LIMITS["idle_s"]) - 0.1


@pytest.mark.parametrize(
    "framing",
    [(b"content-length: 1000", b"x"), (b"transfer-encoding: chunked", b"1\r\nx\r\n")],
    ids=["length", "chunks"],
)
def test_a_body_that_drips_in_is_refused(server: LocalServer, framing: tuple[bytes, bytes]) -> None:
    header, piece = framing
    with connected(server) as client:
        client.sendall(b"POST /schedule HTTP/1.1\r\nhost: 127.0.0.1\r\n" + header + b"\r\n\r\n")
        begin = time.monotonic()
        assert drip(client, piece)
        assert time.monotonic() - begin >= LIMITS["body_s"]
        assert_refused(rest(client), 408)


@pytest.mark.parametrize("line", [b"x-a: " + b"b" * 1_000 + b"\r\n", b"c" * 1_000], ids=["many", "one"])
def test_headers_without_an_end_are_refused(server: LocalServer, line: bytes) -> None:
    with connected(server) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\nx-long: ")
        for _ in range(11):
            client.sendall(line)
        assert_refused(rest(client), 431)


@pytest.mark.parametrize("where", ["target", "field"])
def test_headers_that_come_at_once_have_the_same_limit(server: LocalServer, where: str) -> None:
    for size, status in ((9_000, 200), (11_000, 431)):
        query, value = ("x" * size, "") if where == "target" else ("", "x" * size)
        answer = httpx.get(f"{server.url}/health?{query}", headers={"x-long": value})
        assert answer.status_code == status
        if status == 431:
            [sentence] = answer.json()["errors"]
            assert "10,000 bytes" in sentence


def test_a_body_does_not_count_as_headers(server: LocalServer) -> None:
    body: dict[str, Any] = BODY | {"message": "x" * 150_000}
    with httpx.Client() as client:
        for _ in range(3):
            assert client.post(f"{server.url}/schedule", json=body).status_code == 200


def test_fields_after_a_body_are_dropped_and_have_an_end(tmp_path: Path) -> None:
    begin = b"POST /schedule HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n"
    body = json.dumps(BODY).encode()
    chunks = b"%x\r\n%s\r\n0\r\n" % (len(body), body)
    with limited_server(tmp_path, body_s=WITHIN) as server:
        assert_serves(server)
        before = most_memory(server)
        with connected(server) as client:
            client.sendall(begin + chunks + b"a:\r\n" * 1_000_000 + b"\r\n")
            assert until(client, b"message").startswith(b"HTTP/1.1 200 ")
        assert most_memory(server) < before + 50_000_000
        with connected(server) as client:
            client.sendall(begin + chunks)
            assert drip(client, b"x-a: b\r\n" * 200_000)


def most_memory(server: LocalServer) -> int:
    """Return the most bytes that the server has used so far, as the kernel of Linux tells."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1_024


def test_what_is_not_http_gets_an_error_like_any_other(server: LocalServer) -> None:
    with connected(server) as client:
        client.sendall(b"nonsense\r\n\r\n")
        assert_refused(rest(client), 400)


def test_requests_sent_ahead_are_answered_in_turn(server: LocalServer) -> None:
    request = b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
    with connected(server) as client:
        client.sendall(request * 50)
        assert rest(client).count(b"HTTP/1.1 200 ") == 50


def test_thousands_of_requests_sent_ahead_end_the_connection(server: LocalServer) -> None:
    request = b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
    with connected(server) as client:
        client.sendall(request * 3_000)
        assert rest(client).count(b"HTTP/1.1 200 ") < 3_000
    assert_serves(server)


def test_many_idle_connections_do_not_stop_anybody(server: LocalServer) -> None:
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(connected(server))
        assert_serves(server)


def test_connections_beyond_the_limit_are_told_to_come_back(server: LocalServer) -> None:
    with ExitStack() as stack:
        for _ in range(120):
            stack.enter_context(connected(server))
        answer = httpx.get(f"{server.url}/health")
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json()["errors"]
    eventually(lambda: httpx.get(f"{server.url}/health").status_code == 200 or None, within=WITHIN)


def test_streams_have_a_limit_of_their_own(tmp_path: Path) -> None:
    with limited_server(tmp_path) as server:
        with ExitStack() as stack:
            for _ in range(3):
                client = stack.enter_context(connected(server))
                client.sendall(STREAM % b"")
                assert client.recv(65_536).startswith(b"HTTP/1.1 200 ")
            answer = httpx.get(f"{server.url}/events", headers={"accept": "text/event-stream"})
            # A native EventSource would never come back after another status.
            assert (answer.status_code, answer.text) == (200, "retry: 5000\n:sse-handshake\n")
            assert_serves(server)
            assert httpx.get(f"{server.url}/events").status_code == 200
        eventually(lambda: streams(server) or None, within=WITHIN)


def streams(server: LocalServer) -> bool:
    with httpx.stream("GET", f"{server.url}/events", headers={"accept": "text/event-stream"}) as answer:
        return answer.status_code == 200


@pytest.mark.parametrize("early", [b"", b"GET /he"], ids=["nothing", "part of the next request"])
def test_a_quiet_stream_outlives_all_time_limits(server: LocalServer, early: bytes) -> None:
    with connected(server) as client:
        client.sendall(STREAM % b"")
        until(client, b"\n\n\r\n")
        client.sendall(early)
        client.settimeout(2 * max(LIMITS["unread_s"], LIMITS["body_s"]))
        with pytest.raises(TimeoutError):
            client.recv(1)
        httpx.post(f"{server.url}/schedule", json={"in": 0, "message": f"after the silence and {early!r}"})
        client.settimeout(WITHIN)
        assert until(client, b"after the silence")


def test_a_stream_that_nobody_reads_is_dropped_and_the_others_go_on(tmp_path: Path) -> None:
    with limited_server(tmp_path) as server, connected(server, receive_bytes=4_096) as deaf:
        for _ in range(60):
            httpx.post(f"{server.url}/schedule", json={"in": 0, "message": "x" * 190_000})
        deaf.sendall(STREAM % b"?after=0")
        with connected(server) as client:
            client.sendall(STREAM % b"?after=59")
            until(client, b"id: 60")  # it was accepted: what is counted from now on is not only the deaf one
            eventually(lambda: open_connections(server) == 1 or None, within=WITHIN)
            httpx.post(f"{server.url}/schedule", json={"in": 0, "message": "the last one"})
            assert until(client, b"the last one")
        assert len(rest(deaf)) < 60 * 190_000


def open_connections(server: LocalServer) -> int:
    """Return how many connections the server has accepted and not ended, as the kernel of Linux tells."""
    links = [link.readlink() for link in Path(f"/proc/{server.process.pid}/fd").iterdir() if link.is_symlink()]
    inodes = {str(link)[8:-1] for link in links if str(link).startswith("socket:[")}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[9] in inodes and row[3] == "01" for row in rows)


def test_a_process_takes_no_more_connections_than_it_may_have_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1_024, hard))
        few = limits_of_this_process()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (few.connections, few.streams) == (896, 672)
    assert limits_of_this_process().connections <= Limits().connections


def test_uvicorn_still_has_what_the_limits_rely_on() -> None:
    own = vars(HttpToolsProtocol).keys() | set(HttpToolsProtocol.__init__.__code__.co_names)
    own |= set(HttpToolsProtocol.on_message_begin.__code__.co_names)
    assert own >= USED_OF_THE_PROTOCOL
    assert set(RequestResponseCycle.__init__.__code__.co_names) >= USED_OF_THE_CYCLE
    assert vars(FlowControl).keys() | set(FlowControl.__init__.__code__.co_names) >= USED_OF_THE_FLOW
