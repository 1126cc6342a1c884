"""Answers requests: the guard before each route, and the one shape of every error."""

import logging
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from task_scheduler.engine import BusyError
from task_scheduler.http.errors import INTERNAL_ERROR, respond
from task_scheduler.http.message import Request, Response, error_response
from task_scheduler.http.routes import ROUTES, Context, Route
from task_scheduler.http.secret import Secrets, authorize
from task_scheduler.metrics import Metric, Observer, Unobserved

_logger: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Api:
    """The HTTP API over one engine."""

    context: Context
    secrets: Secrets
    routes: Mapping[str, Mapping[str, Route]] = field(default_factory=lambda: ROUTES)
    """By their paths, whose variable parts stand in braces; each is mounted for every method."""
    observer: Observer = field(default_factory=Unobserved)
    stopwatch: Callable[[], float] = time.perf_counter
    """Seconds since whenever."""

    async def answer(self, path: str, request: Request) -> Response:
        """Answer a request to one of the paths, and note how long that took; raises nothing."""
        began = self.stopwatch()
        response = await self._answer(path, request)
        self.observer.observe(Metric.LATENCY, [self.stopwatch() - began])
        return response

    async def _answer(self, path: str, request: Request) -> Response:
        methods = self.routes[path]
        route = methods.get(request.method)
        if route is None:
            allowed = ", ".join(methods)
            sentence = f"{request.method} is not possible on {request.path}; it takes {allowed}."
            return error_response(405, [sentence], {"allow": allowed})
        try:
            if route.guarded:
                request = replace(request, caller=authorize(request, self.secrets))
            return await route.handler(request, self.context)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets an answer
            if isinstance(error, BusyError):
                self.observer.count(Metric.THROTTLED)
            response = respond(error)
            if response is None:  # known ones are logged where they come from, with what was the matter
                about = {"task_id": request.params["task_id"]} if "task_id" in request.params else None
                _logger.error("%s %s failed: %s", request.method, path, _trace(error), extra=about)  # noqa: TRY400 - see _trace
            return response or error_response(500, [INTERNAL_ERROR])


def _trace(error: BaseException) -> str:
    """Return what kinds of error there were and where, without their texts, which may quote what the caller sent."""
    kinds = []
    cause: BaseException | None = error
    while cause is not None:
        place = "".join(traceback.format_tb(cause.__traceback__))
        kinds.append(f"{type(cause).__name__}\n{place}")
        cause = cause.__cause__ or cause.__context__
    return "caused by ".join(kinds)


def not_found(request: Request) -> Response:
    """Answer a request to any other path."""
    return error_response(404, [f"There is nothing at {request.path[:200]}."])
