"""Clients that are slow, silent, greedy or many, beside one that behaves."""

import json
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pytest

from task_scheduler.contract import MAX_BODY_BYTES
from task_scheduler.local.limits import Limits, limits_of_this_process
from tests.support.clock import eventually
from tests.support.local_server import LocalServer

LIMITS: Final = {
    "max_header_bytes": 10_000,
    "header_timeout_s": 1.5,
    "body_timeout_s": 1.2,
    "write_timeout_s": 2,
    "max_connections": 120,
    "max_streams": 3,
}
WITHIN: Final = 20  # seconds: then a test fails
BODY: Final = {"in": "1h", "message": "hello"}
HEALTH: Final = b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
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
        assert time.monotonic() - begin >= LIMITS["header_timeout_s"] - 0.1
        assert b"200" not in rest(client)


def test_time_for_headers_starts_again_with_each_request(server: LocalServer) -> None:
    with connected(server) as client:
        for _ in range(3):
            time.sleep(0.6 * LIMITS["header_timeout_s"])
            client.sendall(HEALTH)
            assert until(client, b"version").startswith(b"HTTP/1.1 200 ")
        begin = time.monotonic()
        client.sendall(b"G")
        assert rest(client) == b""
        assert time.monotonic() - begin >= LIMITS["header_timeout_s"] - 0.1


@pytest.mark.parametrize(
    "framing",
    [(b"content-length: 1000", b"x"), (b"transfer-encoding: chunked", b"1\r\nx\r\n")],
    ids=["length", "chunks"],
)
def test_a_body_that_drips_in_is_rejected(server: LocalServer, framing: tuple[bytes, bytes]) -> None:
    header, piece = framing
    with connected(server) as client:
        client.sendall(b"POST /schedule HTTP/1.1\r\nhost: 127.0.0.1\r\n" + header + b"\r\n\r\n")
        begin = time.monotonic()
        assert drip(client, piece)
        assert time.monotonic() - begin >= LIMITS["body_timeout_s"]
        head, _, body = rest(client).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 ")
        assert b"connection: close" in head
        [sentence] = json.loads(body)["errors"]
        assert "in time" in sentence


@pytest.mark.parametrize(
    "line", [b"x-a: " + b"b" * 1_000 + b"\r\n", b"c" * 1_000, b"x-a: b\r\n"], ids=["large", "one", "many"]
)
def test_headers_without_an_end_are_rejected(server: LocalServer, line: bytes) -> None:
    with connected(server) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\nx-long: ")
        with suppress(OSError):  # it may end while we still send
            for _ in range(20 * int(LIMITS["max_header_bytes"]) // len(line)):
                client.sendall(line)
        received = rest(client)
        assert received == b"" or received.startswith(b"HTTP/1.1 431 ")
    assert_serves(server)


def test_a_body_does_not_count_as_headers(server: LocalServer) -> None:
    body: dict[str, Any] = BODY | {"message": "x" * 150_000}
    with httpx.Client() as client:
        for _ in range(3):
            assert client.post(f"{server.url}/schedule", json=body).status_code == 200


@pytest.mark.parametrize("line", [b"a:\r\n", b"x-a: b\r\n"])
def test_trailer_fields_take_no_memory(tmp_path: Path, line: bytes) -> None:
    begin = b"POST /schedule HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n"
    body = json.dumps(BODY).encode()
    with limited_server(tmp_path) as server:
        assert_serves(server)
        before = most_memory(server)
        with connected(server) as client, suppress(OSError):
            client.sendall(begin + b"%x\r\n%s\r\n0\r\n" % (len(body), body) + line * 1_000_000 + b"\r\n")
            rest(client)
        assert most_memory(server) < before + 20_000_000
        assert_serves(server)


def test_a_body_that_is_too_large_is_rejected_and_takes_little_memory(tmp_path: Path) -> None:
    with limited_server(tmp_path, body_timeout_s=WITHIN) as server:
        assert_serves(server)
        before = most_memory(server)
        for size in (MAX_BODY_BYTES + 1, 12 * MAX_BODY_BYTES):
            response = httpx.post(f"{server.url}/schedule", content=b"x" * size, timeout=WITHIN)
            assert response.status_code == 413
            assert response.json()["errors"]
        assert most_memory(server) < before + 20_000_000


def test_a_body_without_an_end_ends_the_connection(server: LocalServer) -> None:
    with connected(server) as client:
        client.sendall(b"POST /schedule HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n")
        assert drip(client, b"100000\r\n" + b"x" * MAX_BODY_BYTES + b"\r\n")


def most_memory(server: LocalServer) -> int:
    """Return the peak of the server's memory in bytes, as the kernel of Linux reports it."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1_024


@pytest.mark.parametrize("count", [50, 3_000])
def test_pipelined_requests_are_answered_in_turn(server: LocalServer, count: int) -> None:
    with connected(server) as client:
        sender = threading.Thread(target=client.sendall, args=(HEALTH * count,))
        sender.start()
        assert rest(client).count(b"HTTP/1.1 200 ") == count
        sender.join()


def test_connections_beyond_the_limit_wait_until_others_end(tmp_path: Path) -> None:
    with limited_server(tmp_path, max_connections=20, header_timeout_s=30) as server, ExitStack() as stack:
        busy = [stack.enter_context(connected(server)) for _ in range(20)]
        for client in busy:
            client.sendall(HEALTH)
            until(client, b"version")
        with connected(server) as late:
            late.sendall(HEALTH)
            late.settimeout(0.3)
            with pytest.raises(TimeoutError):
                late.recv(1)
            late.settimeout(WITHIN)
            busy[0].close()
            assert until(late, b"version").startswith(b"HTTP/1.1 200 ")


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
        eventually(lambda: streams(server) or None, within=WITHIN)  # the places are free again


def streams(server: LocalServer) -> bool:
    with httpx.stream("GET", f"{server.url}/events", headers={"accept": "text/event-stream"}) as answer:
        return not next(answer.iter_text()).startswith("retry: 5000")


@pytest.mark.parametrize("early", [b"", b"GET /he"], ids=["nothing", "part of the next request"])
def test_a_quiet_stream_outlives_all_time_limits(server: LocalServer, early: bytes) -> None:
    with connected(server) as client:
        client.sendall(STREAM % b"")
        until(client, b"\n\n\r\n")
        client.sendall(early)
        client.settimeout(2 * max(LIMITS["write_timeout_s"], LIMITS["body_timeout_s"]))
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


def test_a_client_that_reads_no_responses_is_dropped(tmp_path: Path) -> None:
    with limited_server(tmp_path) as server, connected(server, receive_bytes=4_096) as deaf:
        deaf.settimeout(1)
        request = HEALTH.replace(b"/health", b"/openapi.json")
        with suppress(TimeoutError):
            deaf.sendall(request * 1_000)
        eventually(lambda: open_connections(server) == 1 or None, within=WITHIN)
        eventually(lambda: open_connections(server) == 0 or None, within=WITHIN)


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
    assert (few.max_connections, few.max_streams) == (896, 672)
    assert limits_of_this_process().max_connections <= Limits().max_connections
