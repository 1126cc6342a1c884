"""Both engines, each behind its own way of HTTP, in this process, with one clock."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from task_scheduler.api.apigateway import handler
from task_scheduler.api.app import Api
from task_scheduler.api.routes import ROUTES, Context
from task_scheduler.local.asgi import application
from task_scheduler.local.engine import LocalEngine
from task_scheduler.local.limits import Limits
from task_scheduler.local.metrics import PrometheusMetrics
from tests.fuzz.engines import SECRET, Function, LocalApp
from tests.support.world import START_MS, World, tables


@pytest.fixture(scope="module")
def account() -> Iterator[object]:
    """A client of DynamoDB in an account in memory, with both tables."""
    with tables() as client:
        yield client


@pytest.fixture(scope="module")
def function(account: object) -> Function:
    """The function behind API Gateway, over the AWS engine."""
    world = World(account)
    return Function(
        handler(Api(Context(world.engine, streams=False), secrets=lambda: [SECRET])), lambda: world.advance(0)
    )


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalApp]:
    """The local server's application, over the local engine."""
    path = tmp_path_factory.mktemp("local") / "tasks.db"
    with asyncio.Runner() as runner:
        engine = LocalEngine(path, now_ms=lambda: START_MS, metrics=PrometheusMetrics())
        runner.run(engine.__aenter__())
        api = Api(Context(engine, streams=True), secrets=lambda: [SECRET], routes=ROUTES)
        client = httpx.AsyncClient(transport=httpx.ASGITransport(application(api, Limits(max_streams=1))))
        yield LocalApp(client, runner)
        runner.run(client.aclose())
        runner.run(engine.__aexit__(None, None, None))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let the tests here reach the deployment at --url, wherever that is."""
    if config.getoption("--url"):
        for item in items:
            if item.path.parent == Path(__file__).parent:
                item.add_marker(pytest.mark.enable_socket)
