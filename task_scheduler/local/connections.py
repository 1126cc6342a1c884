"""What one connection may take of the server: bytes of headers, time to send and to read, and a place among the others.

A subclass of uvicorn's protocol, which has no such limits. The path of a good request gains a few comparisons and no
timer: each connection has one that ticks every few seconds, and looks how long the present phase has lasted. What this
relies on inside uvicorn is listed in the sets USED_OF_..., and held by a test.
"""

import asyncio
import sys
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from task_scheduler.http.message import error_response
from task_scheduler.local.gathering import GatheringTransport
from task_scheduler.metrics import Metric, Observer, Unobserved

USED_OF_THE_PROTOCOL: Final = frozenset(
    {"connections", "cycle", "flow", "headers", "loop", "pipeline", "transport", "url"}
    | {"connection_lost", "connection_made", "data_received", "resume_writing", "send_400_response"}
    | {"on_body", "on_headers_complete", "on_message_begin", "on_message_complete", "_unset_keepalive_if_required"}
)
USED_OF_THE_CYCLE: Final = frozenset({"disconnected", "message_event", "response_complete", "response_started"})
USED_OF_THE_FLOW: Final = frozenset({"read_paused", "resume_reading"})

_FILES_OF_OUR_OWN: Final = 128  # the data, its log, the listener, webhooks, and connections that are being refused
_BEING_REFUSED: Final = 64  # connections beyond the limit that still get a sentence; those beyond are just closed
_MOST_PIPELINED: Final = 100  # requests that wait for the answer to the one before; each takes a kilobyte or two
_NO_TRAILERS: Final[Any] = deque(maxlen=0)  # fields that follow a body go in here, and so nowhere
_LINE: Final = len(b": \r\n")
_CHECKS: Final = 4  # in the shortest time limit; so one is kept to a quarter of that


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What clients may take; times are in seconds."""

    header_bytes: int = 65_536
    """Of the target and all header fields of one request."""
    header_s: float = 10
    """To send them, from the first byte of a request; on a new connection, from its start."""
    body_bytes: int = 33_554_432
    """Of a body with all that is around it, such as the sizes of its chunks; at half of it the answer has gone out."""
    body_s: float = 30
    """To send a body, in all."""
    unread_s: float = 60
    """To take what was sent; the event stream writes no more until it is taken."""
    idle_s: int = 15
    """Between two requests on one connection; longer than the 5 s after which httpx gives one up by itself."""
    linger_s: float = 2
    """To take the answer that ends a connection, before it is cut."""
    connections: int = 2_000
    streams: int = 1_500

    @property
    def check_s(self) -> float:
        """How often a connection is looked at."""
        return min(self.header_s, self.body_s, self.unread_s) / _CHECKS


def limits_of_this_process() -> Limits:
    """Return the limits, with no more connections than this process may have files open."""
    if sys.platform == "win32":  # pragma: no cover
        return Limits()
    import resource  # noqa: PLC0415 - Windows has none

    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        return Limits()
    connections = min(Limits.connections, max(files - _FILES_OF_OUR_OWN, files // 2))
    return Limits(connections=connections, streams=min(Limits.streams, connections * 3 // 4))


class _Phase(Enum):
    """What the server waits for from the client."""

    NOTHING = auto()
    HEADERS = auto()
    BODY = auto()


class LimitedConnection(HttpToolsProtocol):
    """One connection; `limited` makes the class that has limits."""

    limits = Limits()
    observer: Observer = Unobserved()

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - what uvicorn gives is passed on
        super().__init__(*args, **options)
        self._phase = _Phase.HEADERS
        self._received = 0  # bytes, since the present phase began
        self._chunk = 0  # the bytes that came last
        self._waited_s = 0.0
        self._unread_s = 0.0
        self._refused = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take the connection, unless there are too many."""
        super().connection_made(GatheringTransport(transport, self.loop))  # type: ignore[arg-type]  # stands for it
        beyond = len(self.connections) - self.limits.connections
        if beyond > 0:
            self.observer.count(Metric.THROTTLED)
        if beyond > _BEING_REFUSED:
            transport.abort()
        elif beyond > 0:
            self._refuse(503, "The server has as many connections as it can serve. Try again.")
        else:
            self._timer = self.loop.call_later(self.limits.check_s, self._check)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes before the headers are complete: the parser would keep a header of any length."""
        if self._refused:
            return
        self._chunk = len(data)
        if self._phase is _Phase.NOTHING:
            self._begin_headers()
        self._received += self._chunk
        super().data_received(data)
        if self._received > self.limits.header_bytes and self._phase is _Phase.HEADERS:
            self._refuse_headers()
        elif self._received > self.limits.body_bytes:
            self.transport.close()

    def on_message_begin(self) -> None:
        """Begin a request; one that follows another in the same piece is counted from the next."""
        if self._phase is _Phase.NOTHING:
            self._begin_headers()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Start to answer, unless a single piece brought more headers than are taken."""
        if self._refused:
            return
        limit = self.limits.header_bytes
        if (self._received > limit or self._chunk > limit) and self._header_bytes() > limit:
            self._refuse_headers()
            return
        if len(self.pipeline) >= _MOST_PIPELINED:
            self._refused = True  # there is an answer under way, so another could not be understood
            self.transport.close()
            return
        self._phase = _Phase.BODY
        self._received = 0
        self._waited_s = 0
        super().on_headers_complete()
        self.headers = _NO_TRAILERS

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body, unless the request was refused."""
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for nothing but the next request."""
        if not self._refused:
            self._phase = _Phase.NOTHING
            super().on_message_complete()

    def resume_writing(self) -> None:
        """Note that the client reads."""
        self._unread_s = 0
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        self._refuse(400, msg)

    def _begin_headers(self) -> None:
        self._phase = _Phase.HEADERS
        self._received = 0
        self._waited_s = 0

    def _header_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + _LINE for name, value in self.headers)

    def _refuse_headers(self) -> None:
        self._refuse(431, f"The headers of the request are larger than {self.limits.header_bytes:,} bytes.")

    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _check(self) -> None:
        """See whether the client takes what it gets and sends what it owes."""
        self._timer = self.loop.call_later(self.limits.check_s, self._check)
        if self.transport.get_write_buffer_size() == 0:
            self._unread_s = 0
        elif self._unread_s >= self.limits.unread_s:
            self.transport.abort()
            return
        else:
            self._unread_s += self.limits.check_s
        self._check_what_it_owes()

    def _check_what_it_owes(self) -> None:
        """Time counts only while the server reads; and what comes early, during an answer, may come slowly."""
        in_headers = self._phase is _Phase.HEADERS
        allowed = self.limits.header_s if in_headers else self.limits.body_s
        if self._phase is _Phase.NOTHING or self.flow.read_paused or (in_headers and self._is_answering()):
            self._waited_s = 0
        elif self._waited_s < allowed:
            self._waited_s += self.limits.check_s
        elif in_headers and self._received == 0:
            self.transport.close()
        else:
            self._refuse(408, f"The request did not arrive in time: its {self._phase.name.lower()} took too long.")

    def _refuse(self, status: int, sentence: str) -> None:
        """Answer with an error, where no other answer has begun, and end the connection."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        if self._is_answering():
            if self.pipeline or self._phase is _Phase.HEADERS or self.cycle.response_started:
                self.transport.close()
                return
            self.cycle.disconnected = True  # whoever reads the body is told that nobody waits
            self.cycle.message_event.set()
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        self.transport.write(_answer(status, sentence))
        self._linger()

    def _linger(self) -> None:
        """Leave the client a moment to read: a reset, which unread bytes cause, would take the answer from it."""
        if self.transport.can_write_eof():
            self.transport.write_eof()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(self.limits.linger_s, self.transport.abort)


def limited(limits: Limits, observer: Observer) -> type[LimitedConnection]:
    """Return the protocol with these limits, for uvicorn's `http`."""
    return type("LimitedConnection", (LimitedConnection,), {"limits": limits, "observer": observer})


def _answer(status: int, sentence: str) -> bytes:
    """Return an error as it goes over the wire."""
    answer = error_response(status, [sentence], {"connection": "close"})
    assert isinstance(answer.body, bytes)  # noqa: S101 - errors are whole
    headers = {"content-type": answer.content_type, "content-length": str(len(answer.body)), **answer.headers}
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {headers[name]}" for name in headers)]
    return "\r\n".join([*lines, "", ""]).encode() + answer.body
