"""The local engine behind an HTTP server: one process that starts, serves and stops cleanly."""

import asyncio
import base64
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from task_scheduler.api.app import Api
from task_scheduler.api.routes import ROUTES, Context
from task_scheduler.engine import UnavailableError
from task_scheduler.local.asgi import BodyReader, allow_all, application
from task_scheduler.local.clock import TestClock, system_ms
from task_scheduler.local.engine import LocalEngine
from task_scheduler.local.http_server import port_lock, reserve, serving
from task_scheduler.local.limits import Limits, limits_of_this_process
from task_scheduler.local.metrics import PrometheusMetrics
from task_scheduler.local.origin import reject_cross_site
from task_scheduler.local.routes import local_routes
from task_scheduler.local.task_printer import TaskPrinter
from task_scheduler.loopback import is_loopback

if sys.platform == "win32":  # pragma: no cover
    _new_event_loop = asyncio.new_event_loop
else:
    from uvloop import new_event_loop as _new_event_loop


class ServeError(Exception):
    """The server cannot start; the text is a sentence for the operator."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What an operator decides."""

    host: str = "127.0.0.1"
    port: int = 8000
    """0 takes a free one."""
    data: Path
    secret: str | None = None
    old_secret: str | None = None
    """Is taken as well, while callers move from it to the secret."""
    webhooks: Sequence[str] = ()
    webhook_secret: str | None = None
    test_clock: bool = False
    printer: TaskPrinter | None = None
    """Is notified of each task that is accepted or emitted."""
    limits: Limits = field(default_factory=limits_of_this_process)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secrets that callers may send."""
        return tuple(secret for secret in (self.secret, self.old_secret) if secret is not None)

    def check(self) -> None:
        """Raise ServeError unless a server may run like this."""
        if sys.platform == "win32":  # pragma: no cover
            raise ServeError("serve runs on Linux and macOS. On Windows, run it in WSL (wsl --install).")
        if self.secret is None and not is_loopback(self.host):
            raise ServeError(
                f"{self.host} can be reached by others: set a secret first, by --secret or TASK_SCHEDULER_SECRET."
            )
        if self.secret is None and self.old_secret is not None:
            raise ServeError(
                "There is an old secret and none that replaces it: set TASK_SCHEDULER_SECRET, or --secret."
            )
        if not all(_travels_in_a_header(secret) for secret in self.secrets):
            raise ServeError("A secret must be printable ASCII without spaces at its ends: it travels in a header.")
        if self.webhooks or self.webhook_secret is not None:
            self._check_webhooks()

    def _check_webhooks(self) -> None:
        from task_scheduler.local.webhooks import check_secret, is_web_address  # noqa: PLC0415 - see _webhooks

        for url in self.webhooks:
            if not is_web_address(url):
                raise ServeError(f"The webhook {url!r} must be an address that begins with http:// or https://.")
        if self.webhooks and self.webhook_secret is None:
            example = base64.b64encode(secrets.token_bytes(24)).decode()
            raise ServeError(
                "Webhooks are signed: set TASK_SCHEDULER_WEBHOOK_SECRET, or --webhook-secret, to a secret that their "
                f"receivers know. Here is a new one: whsec_{example}"
            )
        if self.webhook_secret is not None:
            try:
                check_secret(self.webhook_secret)
            except ValueError as error:
                raise ServeError(f"The webhook secret {error}.") from None


def serve(options: Options, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `announce` is called with the URL once it can be reached.

    Raises ServeError or DataFileError, with nothing left running.
    """
    options.check()
    with _reserved(options.host, options.port) as reserved, asyncio.Runner(loop_factory=_new_event_loop) as runner:
        runner.run(_serve(options, reserved, announce))


async def _serve(options: Options, reserved: socket.socket, announce: Callable[[str], None]) -> None:
    clock = TestClock() if options.test_clock else system_ms
    metrics = PrometheusMetrics()
    valid = options.secrets
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(
            LocalEngine(options.data, now_ms=clock, metrics=metrics, printer=options.printer, webhooks=options.webhooks)
        )
        await stack.enter_async_context(_webhooks(options, engine))
        api = Api(
            Context(engine, streams=True),
            secrets=lambda: valid,
            routes={**ROUTES, **local_routes(engine, metrics, clock if isinstance(clock, TestClock) else None)},
            metrics=metrics,
        )
        access_check = allow_all if options.secret is not None else reject_cross_site
        bodies = BodyReader(options.limits)
        host, port = reserved.getsockname()[:2]
        stopping = _stop_requested()  # before anybody knows of the server
        try:
            serve_task = await stack.enter_async_context(
                serving(
                    application(api, options.limits, bodies=bodies, access_check=access_check), reserved, options.limits
                )
            )
        except TimeoutError:
            raise ServeError(f"Cannot serve on {host} port {port}: the HTTP server does not start.") from None
        except OSError as error:
            raise ServeError(f"Cannot serve on {host} port {port}: {error}.") from None
        stack.callback(engine.end_streams)
        stack.callback(bodies.stop)
        announce(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
        await asyncio.wait([serve_task, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            raise ServeError("The HTTP server has ended.") from serve_task.exception()


def _stop_requested() -> asyncio.Future[None]:
    """Return what is done once SIGINT or SIGTERM has come."""
    loop = asyncio.get_running_loop()
    requested = loop.create_future()

    def stop() -> None:
        if not requested.done():
            requested.set_result(None)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    return requested


@asynccontextmanager
async def _webhooks(options: Options, engine: LocalEngine) -> AsyncIterator[None]:
    """Deliver to each webhook in a task of its own, so that none waits for another."""
    try:
        await engine.set_aside_removed(options.webhooks)
    except UnavailableError as error:
        raise ServeError(str(error)) from None
    if not options.webhooks:
        yield
        return
    # Imported only where there are any: httpx is a third of what the server has to import before it can start.
    import httpx  # noqa: PLC0415

    from task_scheduler import outbound  # noqa: PLC0415
    from task_scheduler.local.webhooks import TIMEOUT_S, WebhookSender  # noqa: PLC0415

    async with AsyncExitStack() as clients:
        senders = []
        for url in dict.fromkeys(options.webhooks):
            try:
                route = outbound.options(url)
            except ValueError as error:
                raise ServeError(f"The webhook at {httpx.URL(url).host} cannot be reached: {error}") from None
            client = httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False, **route)
            await clients.enter_async_context(client)
            senders.append(WebhookSender(engine, url, options.webhook_secret or "", client=client))
        try:  # before a task is accepted: what a new webhook shall get begins here, and a crash must not move that
            for sender in senders:
                await sender.open()
        except UnavailableError as error:
            raise ServeError(str(error)) from None
        deliveries = [asyncio.create_task(sender.run()) for sender in senders]
        try:
            yield
        finally:
            for delivery in deliveries:
                delivery.cancel()
            await asyncio.gather(*deliveries, return_exceptions=True)


@contextmanager
def _reserved(host: str, port: int) -> Iterator[socket.socket]:
    with ExitStack() as stack:
        yield stack.enter_context(_bound(host, port, stack))


def _bound(host: str, port: int, stack: ExitStack) -> socket.socket:
    try:
        stack.enter_context(port_lock(host, port))
        return reserve(host, port)
    except UnicodeError:
        raise ServeError(f"Cannot listen on {host}: it is not the name of a host.") from None
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "a port is a number from 0 to 65535"
        raise ServeError(f"Cannot listen on {host} port {port}: {reason}.") from None


def _travels_in_a_header(secret: str) -> bool:
    return secret.isascii() and secret.isprintable() and secret.strip() == secret != ""
