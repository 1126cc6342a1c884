"""The local engine behind an HTTP server: one process that starts, serves and stops cleanly."""

import asyncio
import ipaddress
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response as StarletteResponse
from starlette.responses import StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from task_scheduler.engine import UnavailableError
from task_scheduler.http.api import PATHS, Api, not_found
from task_scheduler.http.body import MAX_BODY_BYTES
from task_scheduler.http.errors import respond
from task_scheduler.http.message import Request, Response, error_response
from task_scheduler.http.routes import Context
from task_scheduler.http.secret import authorize
from task_scheduler.local import metrics
from task_scheduler.local.engine import LocalEngine

_MOST_DRAINED: Final = 16 * MAX_BODY_BYTES  # bytes of a body that is too large, read so that its sender hears why
_GRACE_S: Final = 5  # for requests under way when the server stops

if sys.platform == "win32":  # pragma: no cover
    _new_event_loop = asyncio.new_event_loop
else:
    from uvloop import new_event_loop as _new_event_loop


class ServeError(Exception):
    """The server cannot start; the text is a sentence for the operator."""


def serve(*, host: str, port: int, data: Path, secret: str | None, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `announce` is called with the URL once it answers. Port 0 takes a free one.

    Raises ServeError or DataFileError, with nothing left running.
    """
    if secret is None and not _is_loopback(host):
        raise ServeError(f"{host} can be reached by others: set a secret first, by --secret or TASK_SCHEDULER_SECRET.")
    if secret is not None and not (secret.isascii() and secret.isprintable() and secret.strip() == secret != ""):
        raise ServeError("The secret must be printable ASCII without spaces at its ends, since it travels in a header.")
    with _listening(host, port) as listener, asyncio.Runner(loop_factory=_new_event_loop) as runner:
        runner.run(_serve(listener, data, secret, announce))


async def _serve(listener: socket.socket, data: Path, secret: str | None, announce: Callable[[str], None]) -> None:
    counts = metrics.Metrics()
    async with LocalEngine(data, now_ms=_system_time_ms, observer=counts) as engine:
        secrets = () if secret is None else (secret,)
        api = Api(Context(engine, streams=True), secrets=lambda: secrets)
        config = uvicorn.Config(
            application(api, counts),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=_GRACE_S,
        )
        server = _Server(config, engine)
        host, port = listener.getsockname()[:2]
        announce(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
        await server.serve(sockets=[listener])


def application(api: Api, counts: metrics.Metrics) -> Starlette:
    """Mount the API's routes, and the metrics, as an ASGI application."""
    return Starlette(
        routes=[
            *(Route(path, _Endpoint(api, path)) for path in PATHS),
            Route("/metrics", _Metrics(api, counts)),
            Route("/{path:path}", _NotFound()),
        ]
    )


class _Server(uvicorn.Server):
    """Stops on SIGINT and SIGTERM with exit code 0, and lets event streams go when it does."""

    def __init__(self, config: uvicorn.Config, engine: LocalEngine) -> None:
        super().__init__(config)
        self._engine = engine

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on a signal; uvicorn's own would raise the signal again after the clean stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, number)
        yield

    def _stop(self, number: signal.Signals) -> None:
        self._engine.end_streams()
        self.handle_exit(number, None)


class _Endpoint:
    """One path of the API, for every method."""

    def __init__(self, api: Api, path: str) -> None:
        self._api = api
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = StarletteRequest(scope, receive)
        try:
            body = await _read(request)
        except ClientDisconnect:  # there is nobody to answer
            return
        answer = await self._api.answer(self._path, _request(request, body))
        await _response(answer)(scope, receive, send)


class _NotFound:
    """Every path that is not mounted."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = StarletteRequest(scope, receive)
        await _response(not_found(_request(request, b"")))(scope, receive, send)


class _Metrics:
    """The metrics, behind the same secret as the tasks they tell of."""

    def __init__(self, api: Api, counts: metrics.Metrics) -> None:
        self._api = api
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = StarletteRequest(scope, receive)
        if request.method != "GET":
            answer = error_response(
                405, [f"{request.method} is not possible on /metrics; it takes GET."], {"allow": "GET"}
            )
        else:
            try:
                authorize(_request(request, b""), self._api.secrets)
                answer = Response(200, self._counts.exposition(), content_type=metrics.CONTENT_TYPE)
            except Exception as error:
                refusal = respond(error)
                if refusal is None:
                    raise
                answer = refusal
        await _response(answer)(scope, receive, send)


async def _read(request: StarletteRequest) -> bytes:
    """Return the body; of one that is too large, just enough to see that."""
    pieces = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size - len(piece) <= MAX_BODY_BYTES:
            pieces.append(piece)
        if size > _MOST_DRAINED:
            break
    return b"".join(pieces)


def _request(request: StarletteRequest, body: bytes) -> Request:
    return Request(
        method=request.method,
        path=request.url.path,
        headers=request.headers,
        query=request.query_params,
        body=body,
        params=request.path_params,
    )


def _response(answer: Response) -> StarletteResponse:
    headers = dict(answer.headers)
    if isinstance(answer.body, bytes):
        return StarletteResponse(answer.body, answer.status, headers, answer.content_type)
    return StreamingResponse(_until_stopped(answer.body), answer.status, headers, answer.content_type)


async def _until_stopped(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for piece in pieces:
            yield piece
    except UnavailableError:  # the server stops, or the disk fails: the client comes back with the position it holds
        return


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "a port is a number from 0 to 65535"
        raise ServeError(f"Cannot listen on {host} port {port}: {reason}.") from None
    with listener:
        yield listener


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _system_time_ms() -> int:
    return time.time_ns() // 1_000_000
