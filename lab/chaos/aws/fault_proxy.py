"""Stands between programs and AWS, passes their calls on, and lets some of them go wrong as planned."""

import json
import socket
import struct
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from lab.chaos.aws.nemesis import Kind, Plan
from lab.chaos.aws.refusals import Refusal, conflict, internal_error, throttled, unavailable

HOST: Final = "127.0.0.1"
_HOLD_S: Final = 10
"""How long an answer is held back from a caller that does not give up: longer than the functions wait."""
_UPSTREAM_S: Final = 60
_POLL_S: Final = 0.05
_REFUSALS: Final = {
    Kind.THROTTLED: throttled,
    Kind.CONFLICT: conflict,
    Kind.ERROR: internal_error,
    Kind.UNAVAILABLE: unavailable,
}
_BEFORE_SUCCESS: Final = frozenset({Kind.TIMEOUT, Kind.RESET, Kind.CRASH, *_REFUSALS})
"""Faults that come in place of the call; the others come after it."""


@dataclass(frozen=True)
class Call:
    """One call of the JSON protocols of AWS: its operation is in a header."""

    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def operation(self) -> str:
        """Its name, such as PutItem; empty for a call of another protocol."""
        return self.target.rpartition(".")[2]


class FaultProxy:
    """A proxy on a free port of this machine, for one upstream endpoint that speaks plain HTTP."""

    def __init__(self, upstream: str, plan: Plan, *, kill: Callable[[int], bool] = lambda _port: False) -> None:
        """Take the plan, and what kills the program that calls from a port, and tells whether it could."""
        self._server = _Server(upstream, plan, kill)
        self.url: Final = f"http://{HOST}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=[_POLL_S], daemon=True)

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; calls under way end as they may."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, upstream: str, plan: Plan, kill: Callable[[int], bool]) -> None:
        self.upstream = urlsplit(upstream)
        self.plan = plan
        self.kill = kill
        super().__init__((HOST, 0), _Handler)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - as the base class has it
        """Close at once: a shutdown before would send an end where a reset is meant."""
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the base class has it
        """Say nothing where a caller was killed, or has hung up."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection of a caller."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        """Pass a call on, or let it go wrong."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        call = Call(self.headers.get("X-Amz-Target", ""), dict(self.headers.items()), body)
        kind = self.server.plan.next(call.operation) if call.target else None
        with suppress(OSError, HTTPException):  # the caller has gone, or the upstream has
            if kind is None:
                self._answer(*self._carry_out(call))
            else:
                self._go_wrong(kind, call)
            return
        self._reset()

    def _go_wrong(self, kind: Kind, call: Call) -> None:
        if kind is Kind.LATE:
            self._wait_for_hangup()
        if kind is Kind.PARTIAL:
            self._answer(*self._carry_out_half(call))
            return
        if kind in _REFUSALS:
            self._answer(*_REFUSALS[kind](call.target))
            return
        answer = None if kind in _BEFORE_SUCCESS else self._carry_out(call)
        if kind in {Kind.TIMEOUT, Kind.TIMEOUT_AFTER}:
            self._wait_for_hangup()
        elif kind is Kind.ERROR_AFTER:
            self._answer(*internal_error(call.target))
            return
        elif kind is Kind.TRUNCATED and answer is not None:
            self._answer(*answer, cut=True)
        elif kind in {Kind.CRASH, Kind.CRASH_AFTER}:
            self.server.kill(self.client_address[1])
        self._reset()

    def _carry_out(self, call: Call) -> Refusal:
        connection = HTTPConnection(
            str(self.server.upstream.hostname), self.server.upstream.port or 80, timeout=_UPSTREAM_S
        )
        try:
            connection.request("POST", self.path, call.body, {**call.headers, "Connection": "close"})
            response = connection.getresponse()
            kept = {
                name: value
                for name, value in response.getheaders()
                if name.lower() in {"content-type", "x-amz-crc32", "x-amzn-errortype", "x-amzn-requestid", "date"}
            }
            return response.status, kept, response.read()
        finally:
            connection.close()

    def _carry_out_half(self, call: Call) -> Refusal:
        """Look at every other item of a batch, and name the others as DynamoDB does when it is busy."""
        asked = json.loads(call.body)
        halves: list[dict[str, Any]] = [{}, {}]
        for table, wanted in asked["RequestItems"].items():
            for half, items in enumerate((wanted["Keys"][::2], wanted["Keys"][1::2])):
                if items:
                    halves[half][table] = {**wanted, "Keys": items}
        done, left = halves
        status, headers, body = self._carry_out(
            Call(
                call.target,
                {name: value for name, value in call.headers.items() if name.lower() != "content-length"},
                json.dumps({**asked, "RequestItems": done}).encode(),
            )
        )
        answer = {**json.loads(body), "UnprocessedKeys": left}
        return status, {"Content-Type": headers.get("Content-Type", "")}, json.dumps(answer).encode()

    def _answer(self, status: int, headers: dict[str, str], body: bytes, *, cut: bool = False) -> None:
        """Send an answer, or half of one."""
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)

    def _wait_for_hangup(self) -> None:
        self.connection.settimeout(_HOLD_S)
        with suppress(OSError):
            self.connection.recv(1)

    def _reset(self) -> None:
        """End the connection without a word; what was sent may be lost too."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
        """Say nothing: the plan counts."""
