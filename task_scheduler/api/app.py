"""Handles requests: the way to each route, the guard before it, and the one shape of every error."""

import logging
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Final

from task_scheduler.api import sse
from task_scheduler.api.auth import Secrets, authorize
from task_scheduler.api.errors import INTERNAL_ERROR, respond
from task_scheduler.api.request import Request
from task_scheduler.api.response import Response, error_response
from task_scheduler.api.router import Router
from task_scheduler.api.routes import ROUTES, Context, Route
from task_scheduler.engine import BusyError
from task_scheduler.metrics import Metric, Metrics, NullMetrics

_logger: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Api:
    """The HTTP API over one engine."""

    context: Context
    secrets: Secrets
    routes: Mapping[str, Mapping[str, Route]] = field(default_factory=lambda: ROUTES)
    """By the templates of their paths, then by their methods."""
    metrics: Metrics = field(default_factory=NullMetrics)
    stopwatch: Callable[[], float] = time.perf_counter
    """Seconds since whenever."""
    router: Router = field(init=False)

    def __post_init__(self) -> None:
        """Learn the ways."""
        object.__setattr__(self, "router", Router(self.routes))

    async def handle(self, request: Request) -> Response:
        """Handle a request, and measure how long that took; raises nothing."""
        began = self.stopwatch()
        found = self.router.find(request.path)
        response = _not_found(request) if found is None else await self._route(*found, request)
        self.metrics.observe(Metric.LATENCY, [self.stopwatch() - began])
        return response

    async def _route(self, template: str, params: Mapping[str, str], request: Request) -> Response:
        methods = self.routes[template]
        route = methods.get(request.method) or _of_head(methods, request.method)
        if route is None:
            allowed = ", ".join([*methods, *(["HEAD"] if _of_head(methods, "HEAD") else [])])
            sentence = f"Method {request.method} is not allowed on {request.path[:200]}. Allowed: {allowed}."
            return error_response(HTTPStatus.METHOD_NOT_ALLOWED, [sentence], {"allow": allowed})
        try:
            if route.requires_secret:
                authorize(request, self.secrets)
            if params:
                request = replace(request, params=params)
            return await route.handler(request, self.context)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets a response
            if isinstance(error, BusyError):
                self.metrics.count(Metric.THROTTLED)
            response = respond(error)
            if response is None:  # known ones are logged where they come from, with what was the matter
                about = {"task_id": params["task_id"]} if "task_id" in params else None
                _logger.error("%s %s failed: %s", request.method, template, trace(error), extra=about)  # noqa: TRY400 - see trace
            response = response or error_response(HTTPStatus.INTERNAL_SERVER_ERROR, [INTERNAL_ERROR])
            if route.streams and sse.is_wanted(request) and response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                return sse.come_back_later()
            return response


def _of_head(methods: Mapping[str, Route], method: str) -> Route | None:
    """Return the route that serves HEAD, which is that of GET, if it changes nothing (RFC 9110, 9.2.1)."""
    route = methods.get("GET") if method == "HEAD" else None
    return route if route and route.safe else None


def trace(error: BaseException) -> str:
    """Return what kinds of error there were and where, without their texts, which may quote what the caller sent."""
    kinds = []
    cause: BaseException | None = error
    while cause is not None:
        place = "".join(traceback.format_tb(cause.__traceback__))
        kinds.append(f"{type(cause).__name__}\n{place}")
        cause = cause.__cause__ or cause.__context__
    return "caused by ".join(kinds)


def _not_found(request: Request) -> Response:
    return error_response(HTTPStatus.NOT_FOUND, [f"No route {request.path[:200]}."])
