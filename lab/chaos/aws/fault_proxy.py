"""Stands between programs and AWS, passes their calls on, and lets some of them fail as planned."""

import json
import socket
import struct
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self
from urllib.parse import urlsplit

from lab.chaos.aws.nemesis import Kind, Plan

HOST: Final = "127.0.0.1"
_HOLD_S: Final = 10
"""How long a response is held back from a caller that does not give up: longer than the functions wait."""
_UPSTREAM_S: Final = 60
_POLL_S: Final = 0.05
_IN_PLACE: Final = frozenset(
    {Kind.TIMEOUT, Kind.RESET, Kind.CRASH, Kind.THROTTLED, Kind.CONFLICT, Kind.ERROR, Kind.UNAVAILABLE}
)
"""Faults that come in place of the call; the others come after it."""
_KEPT: Final = ("content-type", "x-amz-crc32", "x-amzn-errortype", "x-amzn-requestid", "date")

# Each service has errors, a content type and a namespace of its own, in the JSON protocols of AWS.
_DYNAMODB: Final = "DynamoDB_20120810"
_NAMES: Final = {
    _DYNAMODB: ("ProvisionedThroughputExceededException", "InternalServerError"),
    "AWSStepFunctions": ("ThrottlingException", "InternalFailure"),
    "secretsmanager": ("ThrottlingException", "InternalServiceError"),
}
_NAMESPACE: Final = {_DYNAMODB: "com.amazonaws.dynamodb.v20120810#"}
_TYPES: Final = {"secretsmanager": "application/x-amz-json-1.1"}

Response = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""


def error_response(kind: Kind, target: str) -> Response:
    """Return what the service of a call responds with, where this fault comes in place of it or after it."""
    service, _, operation = target.rpartition(".")
    busy, broken = _NAMES.get(service, ("ThrottlingException", "InternalFailure"))
    more: dict[str, object] = {}
    if kind is Kind.UNAVAILABLE:  # what stands in front of the service says so: no JSON
        return 503, {"Content-Type": "text/html"}, b"<html><body><b>Http/1.1 Service Unavailable</b></body></html>"
    if kind is Kind.THROTTLED:
        status, name, sentence = 400, busy, "Rate exceeded"
    elif kind is Kind.CONFLICT:
        status, name, sentence = 400, "TransactionConflictException", "Transaction is ongoing for the item"
        if operation == "TransactWriteItems":
            name = "TransactionCanceledException"
            more = {"CancellationReasons": [{"Code": "TransactionConflict", "Message": sentence}, {"Code": "None"}]}
            sentence = "Transaction cancelled, please refer cancellation reasons [TransactionConflict, None]"
    else:
        status, name, sentence = 500, broken, "The service failed"
    body = {"__type": _NAMESPACE.get(service, "") + name, "message": sentence, **more}
    headers = {"Content-Type": _TYPES.get(service, "application/x-amz-json-1.0"), "x-amzn-RequestId": "chaos"}
    return status, headers, json.dumps(body).encode()


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

    def __exit__(self, *_: object) -> None:
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
        """Pass a call on, or let it fail; its operation is in a header."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        target = self.headers.get("X-Amz-Target", "")
        kind = self.server.plan.next(target.rpartition(".")[2]) if target else None
        with suppress(OSError, HTTPException):  # the caller has gone, or the upstream has
            if kind is None:
                self._respond(*self._carry_out(body))
                return
            if self._fail(kind, target, body):
                return
        self._reset()

    def _fail(self, kind: Kind, target: str, body: bytes) -> bool:
        """Apply a fault; tell whether the caller has got a whole response."""
        if kind is Kind.LATE:
            self._wait_for_hangup()
        if kind is Kind.PARTIAL:
            self._respond(*self._carry_out_half(body))
            return True
        response = None if kind in _IN_PLACE else self._carry_out(body)
        match kind:
            case Kind.THROTTLED | Kind.CONFLICT | Kind.ERROR | Kind.UNAVAILABLE | Kind.ERROR_AFTER:
                self._respond(*error_response(kind, target))
                return True
            case Kind.TIMEOUT | Kind.TIMEOUT_AFTER:
                self._wait_for_hangup()
            case Kind.TRUNCATED if response is not None:
                self._respond(*response, cut=True)
            case Kind.CRASH | Kind.CRASH_AFTER:
                self.server.kill(self.client_address[1])
        return False

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

    def _carry_out_half(self, body: bytes) -> Response:
        """Look at every other item of a batch, and name the others as DynamoDB does when it is busy."""
        asked = json.loads(body)
        halves: list[dict[str, Any]] = [{}, {}]
        for table, wanted in asked["RequestItems"].items():
            for half, items in zip(halves, (wanted["Keys"][::2], wanted["Keys"][1::2]), strict=True):
                if items:
                    half[table] = {**wanted, "Keys": items}
        done, left = halves
        status, headers, found = self._carry_out(json.dumps({**asked, "RequestItems": done}).encode())
        content = json.dumps({**json.loads(found), "UnprocessedKeys": left}).encode()
        return status, {"Content-Type": headers.get("Content-Type", "")}, content

    def _respond(self, status: int, headers: dict[str, str], body: bytes, *, cut: bool = False) -> None:
        """Send a response, or half of one."""
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
