"""The routes that only the local engine has: metrics, what webhooks did not accept, and the clock of tests."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from task_scheduler import timestamps
from task_scheduler.api.errors import BadRequestError
from task_scheduler.api.json_body import read_object
from task_scheduler.api.request import Request
from task_scheduler.api.response import Response, json_response
from task_scheduler.api.routes import Context, Route
from task_scheduler.local import metrics
from task_scheduler.local.clock import TestClock
from task_scheduler.local.deliveries import SetAside
from task_scheduler.local.engine import LocalEngine

_SHOWN: Final = 100  # messages that were set aside
_LATEST_MS: Final = timestamps.parse("9000-01-01")


def local_routes(
    engine: LocalEngine, counts: metrics.PrometheusMetrics, clock: TestClock | None
) -> Mapping[str, Mapping[str, Route]]:
    """Return the routes; the clock can be set only where it is one for tests."""

    async def show_metrics(_request: Request, _context: Context) -> Response:
        return Response(HTTPStatus.OK, counts.exposition(), content_type=metrics.CONTENT_TYPE)

    async def advance_clock(request: Request, _context: Context) -> Response:
        assert clock is not None  # noqa: S101 - the route is there only then
        clock.advance(_advance_ms(read_object(request.body), clock()))
        await engine.run_due()
        return json_response({"now": timestamps.format(int(clock()))})

    async def list_set_aside(_request: Request, _context: Context) -> Response:
        number, newest = engine.set_aside_deliveries(limit=_SHOWN)
        return json_response({"set_aside": number, "messages": [_shown(each) for each in newest]})

    async def acknowledge(request: Request, _context: Context) -> Response:
        until_ms = _until_ms(request.body)
        return json_response({"acknowledged": await engine.acknowledge_deliveries(until_ms=until_ms)})

    routes = {
        "/metrics": {"GET": Route(show_metrics)},
        "/webhooks": {"GET": Route(list_set_aside)},
        "/webhooks/acknowledge": {"POST": Route(acknowledge)},
    }
    return routes if clock is None else {**routes, "/clock": {"POST": Route(advance_clock)}}


def _shown(message: SetAside) -> Mapping[str, object]:
    """Return a message that was set aside as JSON; only the host of its webhook, since an address may be a secret."""
    return {
        "id": message.task_id,
        "webhook": urlsplit(message.url).hostname,
        "attempts": message.attempts,
        "failure": message.failure,
        "emitted_at": timestamps.format(message.emitted_ms),
        "set_aside_at": timestamps.format(message.set_aside_ms),
    }


def _until_ms(body: bytes) -> int:
    """Return up to when messages are acknowledged: all of them, or those that their reader has seen."""
    fields = read_object(body) if body else {}
    if not fields:
        return _LATEST_MS
    if set(fields) != {"until"}:
        raise BadRequestError('Give nothing, or the newest set_aside_at to acknowledge, as {"until": "..."}.')
    try:
        return timestamps.parse(fields["until"])
    except ValueError as error:
        raise BadRequestError(f"until {error}.") from None


def _advance_ms(body: Mapping[str, object], now_ms: float) -> int:
    """Return how far to set the clock forward; raises BadRequestError."""
    if set(body) != {"advance"}:
        raise BadRequestError('Give how far to set the clock forward, as in {"advance": "30d"}.')
    try:
        ms = timestamps.parse_duration(body["advance"])
    except OverflowError:
        raise BadRequestError("advance is too long.") from None
    except ValueError as error:
        raise BadRequestError(f"advance {error}.") from None
    if ms > _LATEST_MS - int(now_ms):  # as integers: a float has no room for the largest
        raise BadRequestError("advance must not lead beyond the year 8999.")
    return ms
