"""The routes that only the local engine has: its metrics, and the clock that tests set forward."""

from collections.abc import Mapping
from typing import Final

from task_scheduler import timestamp
from task_scheduler.http.body import read_object
from task_scheduler.http.errors import BadRequestError
from task_scheduler.http.message import Request, Response, json_response
from task_scheduler.http.routes import Context, Route
from task_scheduler.local import metrics
from task_scheduler.local.clock import TestClock
from task_scheduler.local.engine import LocalEngine

_LATEST_MS: Final = timestamp.parse("9000-01-01")


def local_routes(
    engine: LocalEngine, counts: metrics.Metrics, clock: TestClock | None
) -> Mapping[str, Mapping[str, Route]]:
    """Return the routes; the clock can be set only where it is one for tests."""

    async def show_metrics(_request: Request, _context: Context) -> Response:
        return Response(200, counts.exposition(), content_type=metrics.CONTENT_TYPE)

    async def advance_clock(request: Request, _context: Context) -> Response:
        assert clock is not None  # noqa: S101 - the route is there only then
        clock.advance(_advance_ms(read_object(request.body), clock()))
        await engine.fire()
        return json_response({"now": timestamp.format(int(clock()))})

    routes = {"/metrics": {"GET": Route(show_metrics)}}
    return routes if clock is None else {**routes, "/clock": {"POST": Route(advance_clock)}}


def _advance_ms(body: Mapping[str, object], now_ms: float) -> int:
    """Return how far to set the clock forward; raises BadRequestError."""
    if set(body) != {"advance"}:
        raise BadRequestError('Give how far to set the clock forward, as in {"advance": "30d"}.')
    try:
        ms = timestamp.parse_duration(body["advance"])
    except ValueError as error:
        raise BadRequestError(f"advance {error}.") from None
    if now_ms + ms > _LATEST_MS:
        raise BadRequestError("advance must not lead beyond the year 8999.")
    return ms
