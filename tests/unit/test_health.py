"""GET /health says what is wrong, to anybody; and how long each answer takes is noted."""

import asyncio
import json

import pytest

from task_scheduler import __version__
from task_scheduler.api.app import Api
from task_scheduler.api.request import Request
from task_scheduler.api.routes import Context
from task_scheduler.engine import Health
from task_scheduler.metrics import Metric
from tests.support.memory_engine import MemoryEngine
from tests.support.observations import Observations


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine()


@pytest.fixture
def observations() -> Observations:
    return Observations()


@pytest.fixture
def api(engine: MemoryEngine, observations: Observations) -> Api:
    """An API whose stopwatch shows a quarter of a second more each time."""
    seconds = iter(range(100))
    return Api(
        Context(engine, streams=False),
        secrets=lambda: ["a secret"],
        metrics=observations,
        stopwatch=lambda: next(seconds) / 4,
    )


def health(api: Api) -> tuple[int, object]:
    answer = asyncio.run(api.handle(Request("GET", "/health")))
    assert isinstance(answer.body, bytes)
    return answer.status, json.loads(answer.body)


def test_a_service_that_is_well_says_so(api: Api) -> None:
    assert health(api) == (200, {"status": "ok", "version": __version__})


def test_one_that_fails_says_what_is_wrong_with_503(api: Api, engine: MemoryEngine) -> None:
    engine.health = Health(["The disk is full.", "Tasks are overdue."], ["A webhook is behind."])
    body = {"status": "failing", "version": __version__, "errors": ["The disk is full.", "Tasks are overdue."]}
    assert health(api) == (503, body | {"warnings": ["A webhook is behind."]})


def test_one_that_accepts_and_emits_is_degraded_at_most(api: Api, engine: MemoryEngine) -> None:
    engine.health = Health(warnings=["A webhook is behind."])
    body = {"status": "degraded", "version": __version__, "warnings": ["A webhook is behind."]}
    assert health(api) == (200, body)


def test_every_answer_is_timed_also_one_that_refuses(api: Api, observations: Observations) -> None:
    health(api)
    for method in ("GET", "PUT"):
        asyncio.run(api.handle(Request(method, "/tasks")))
    assert observations.spans == {Metric.LATENCY: [0.25, 0.25, 0.25]}
