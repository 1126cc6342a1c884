"""GET /health reports what is wrong, to anybody; and the latency of each response is measured."""

import asyncio
import json

import pytest

from task_scheduler import __version__
from task_scheduler.api.app import Api
from task_scheduler.api.request import Request
from task_scheduler.api.routes import Context
from task_scheduler.engine import Health
from task_scheduler.metrics import Metric
from tests.support.memory_engine import memory_engine
from tests.support.observations import Observations


@pytest.mark.parametrize(
    ("health", "status", "body"),
    [
        (Health(), 200, {"status": "ok"}),
        (Health(warnings=["A webhook is behind."]), 200, {"status": "degraded", "warnings": ["A webhook is behind."]}),
        (
            Health(["The disk is full.", "Tasks are overdue."], ["A webhook is behind."]),
            503,
            {
                "status": "failing",
                "errors": ["The disk is full.", "Tasks are overdue."],
                "warnings": ["A webhook is behind."],
            },
        ),
    ],
)
def test_health_has_every_error_and_warning(health: Health, status: int, body: dict[str, object]) -> None:
    engine = memory_engine()
    engine.health = health
    api = Api(Context(engine, streams=False), secrets=lambda: ["a secret"], metrics=Observations())
    response = asyncio.run(api.handle(Request("GET", "/health")))
    assert isinstance(response.body, bytes)
    assert (response.status, json.loads(response.body)) == (status, body | {"version": __version__})


def test_the_latency_of_every_response_is_measured_also_of_rejections() -> None:
    observations = Observations()
    seconds = iter(range(100))
    api = Api(
        Context(memory_engine(), streams=False),
        secrets=lambda: ["a secret"],
        metrics=observations,
        stopwatch=lambda: next(seconds) / 4,
    )
    for method, path in (("GET", "/health"), ("GET", "/tasks"), ("PUT", "/tasks")):
        asyncio.run(api.handle(Request(method, path)))
    assert observations.spans == {Metric.LATENCY: [0.25, 0.25, 0.25]}
