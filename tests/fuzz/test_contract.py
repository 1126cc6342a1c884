"""Both engines keep the contract, whatever is sent to them: every check that Schemathesis has.

FUZZ_EXAMPLES=500 asks 500 times for each operation, --hypothesis-seed=1 (ARGS=) the same again.
"""

import os
from collections.abc import Iterator
from typing import Any, Final

import pytest
from schemathesis import Case

from task_scheduler.http.api import Api
from task_scheduler.http.gateway import handler
from task_scheduler.http.routes import Context
from tests.conformance.local_server import LocalServer
from tests.fuzz.contract import contract
from tests.fuzz.gateway import application
from tests.unit.memory_engine import MemoryEngine

pytestmark = pytest.mark.slow

SECRET: Final = "the-configured-secret"  # noqa: S105 - of nothing
# A page of events, never the stream, which does not end on the local engine and waits for 25 s on AWS.
HEADERS: Final = {"x-pd-secret": SECRET, "Accept": "application/json"}
EXAMPLES: Final = int(os.environ.get("FUZZ_EXAMPLES", "0")) or None

# Nothing that they are asked with could be wrong.
ANYTHING_GOES: Final = ["/", "/assets/{name}", "/docs", "/health", "/openapi.json"]

VALID: Final = contract(valid=True, examples=EXAMPLES)
WRONG: Final = contract(valid=False, examples=EXAMPLES)
VALID_AT_GATEWAY: Final = contract(valid=True, examples=EXAMPLES)
WRONG_AT_GATEWAY: Final = contract(valid=False, examples=EXAMPLES)
VALID_AT_GATEWAY.app = WRONG_AT_GATEWAY.app = application(
    handler(Api(Context(MemoryEngine(), streams=False), secrets=lambda: [SECRET]))
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with LocalServer(tmp_path_factory.mktemp("fuzz") / "tasks.db", secret=SECRET) as server:
        yield server.url
        assert not server.errors


@VALID.parametrize()
def test_the_local_engine_takes_what_is_valid(case: Case[Any], url: str) -> None:
    case.call_and_validate(base_url=url, headers=HEADERS)


@WRONG.exclude(path=ANYTHING_GOES).parametrize()
def test_the_local_engine_refuses_what_is_not(case: Case[Any], url: str) -> None:
    case.call_and_validate(base_url=url, headers=HEADERS)


@VALID_AT_GATEWAY.parametrize()
def test_the_function_takes_what_is_valid(case: Case[Any]) -> None:
    case.call_and_validate(headers=HEADERS)


@WRONG_AT_GATEWAY.exclude(path=ANYTHING_GOES).parametrize()
def test_the_function_refuses_what_is_not(case: Case[Any]) -> None:
    case.call_and_validate(headers=HEADERS)
