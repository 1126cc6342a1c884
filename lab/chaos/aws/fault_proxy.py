"""Stands between the functions and AWS, passes their calls on, and lets some of them fail as planned."""

import json
import os
import signal
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from lab.chaos.aws.nemesis import Kind, Plan

_HOLD_S: Final = 10
"""How long a response is held back from a caller that does not give up: longer than the functions wait."""
_UPSTREAM_S: Final = 60
_KEPT: Final = ("content-type", "x-amz-crc32", "x-amzn-errortype", "x-amzn-requestid", "date")
_AFTER: Final = frozenset({Kind.ERROR_AFTER, Kind.TIMEOUT_AFTER, Kind.LATE, Kind.RESET_AFTER, Kind.CRASH_AFTER})
"""Faults that come after the call was carried out; the others come in place of it."""
_NAMES: Final = {
    "DynamoDB_20120810": ("ProvisionedThroughputExceededException", "InternalServerError"),
    "secretsmanager": ("ThrottlingException", "InternalServiceError"),
}
"""What a service calls its errors, where it has names of its own: too many calls, and an error of the service."""
_TCP: Final = Path("/proc/net/tcp")
CAN_KILL: Final = _TCP.exists()
"""Whether this system tells which process has a connection."""

Response = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""


def error_response(kind: Kind, target: str) -> Response:
    """Return what the service of a call responds with, where this fault comes in place of it or after it."""
    service, _, operation = target.rpartition(".")
    busy, broken = _NAMES.get(service, ("ThrottlingException", "InternalFailure"))
    body: dict[str, object] = {"message": f"By {kind}."}
    if kind is Kind.THROTTLED:
        status, name = 400, busy
    elif kind is Kind.CONFLICT and operation == "TransactWriteItems":
        status, name = 400, "TransactionCanceledException"
        body["CancellationReasons"] = [{"Code": "TransactionConflict"}, {"Code": "None"}]
    elif kind is Kind.CONFLICT:
        status, name = 400, "TransactionConflictException"
    else:
        status, name = 500, broken
    return status, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps({"__type": name, **body}).encode()


class FaultProxy(ThreadingHTTPServer):
    """A proxy on a free port of this machine, for one upstream endpoint that speaks plain HTTP."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, upstream: str, plan: Plan, *, parent: int) -> None:
        """Take the plan, and the process whose children call: one of them dies by a crash."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url: Final = f"http://127.0.0.1:{self.server_address[1]}"
        self.upstream = urlsplit(upstream)
        self.plan = plan
        self.parent = parent

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen until the end of the block; calls under way end as they may."""
        thread = threading.Thread(target=self.serve_forever, args=[0.05], daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            self.server_close()
            thread.join()

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - as the base class has it
        """Close at once: a shutdown before would send an end where a reset is meant."""
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the base class has it
        """Say nothing where a caller was killed, or has hung up."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection of a caller."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FaultProxy

    def do_POST(self) -> None:
        """Pass a call on, or let it fail; its operation is in a header."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        target = self.headers.get("X-Amz-Target", "")
        kind = self.server.plan.next(target.rpartition(".")[2]) if target else None
        with suppress(OSError, HTTPException):  # the caller has gone, or the upstream has
            if kind is Kind.LATE:
                self._wait_for_hangup()
            response = self._carry_out(body) if kind is None or kind in _AFTER else None
            match kind:
                case None if response:
                    return self._respond(*response)
                case Kind.THROTTLED | Kind.CONFLICT | Kind.ERROR | Kind.ERROR_AFTER:
                    return self._respond(*error_response(kind, target))
                case Kind.TIMEOUT | Kind.TIMEOUT_AFTER:
                    self._wait_for_hangup()
                case Kind.CRASH | Kind.CRASH_AFTER:
                    kill_caller(self.server.parent, self.client_address[1])
        self._reset()
        return None

    def _carry_out(self, body: bytes) -> Response:
        upstream = self.server.upstream
        connection = HTTPConnection(str(upstream.hostname), upstream.port or 80, timeout=_UPSTREAM_S)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "content-length"}
        try:
            connection.request("POST", self.path, body, {**headers, "Connection": "close"})
            response = connection.getresponse()
            kept = {name: value for name, value in response.getheaders() if name.lower() in _KEPT}
            return response.status, kept, response.read()
        finally:
            connection.close()

    def _respond(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

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


def kill_caller(parent: int, port: int) -> bool:
    """Kill the child of a process that holds the connection from a port of loopback; False if there is none."""
    if not CAN_KILL:
        return False
    rows = [line.split() for line in _TCP.read_text().splitlines()[1:]]  # proc(5): address in 1, inode in 9
    wanted = {f"socket:[{row[9]}]" for row in rows if row[1] == f"0100007F:{port:04X}"}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
            files = (folder / "fd").iterdir() if int(stat[1]) == parent else ()
            if any(str(file.readlink()) in wanted for file in files):
                os.kill(int(folder.name), signal.SIGKILL)
                return True
    return False
