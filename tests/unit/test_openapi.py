"""The contract and the routes say the same."""

import json
from typing import Any

import pytest
from openapi_spec_validator import validate

from task_scheduler import __version__
from task_scheduler.http.errors import _STATUSES
from task_scheduler.http.routes import ROUTES, openapi
from task_scheduler.task import HORIZON_MS, MAX_DEPTH, MAX_EVENT_BYTES, MAX_QUOTED_EVENT_BYTES

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
def contract() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(openapi())
    return found


def test_the_contract_is_valid_openapi_3_1(contract: dict[str, Any]) -> None:
    assert contract["openapi"].startswith("3.1.")
    validate(contract)


def test_the_contract_has_exactly_the_routes_that_are_served(contract: dict[str, Any]) -> None:
    described = {path: {method.upper() for method in METHODS & item.keys()} for path, item in contract["paths"].items()}
    assert described == {path: set(methods) for path, methods in ROUTES.items()}


def test_the_contract_says_which_routes_need_no_secret(contract: dict[str, Any]) -> None:
    for path, methods in ROUTES.items():
        for method, route in methods.items():
            operation = contract["paths"][path][method.lower()]
            assert (operation.get("security", contract["security"]) == []) is not route.guarded
            assert ("401" in operation["responses"]) is route.guarded


def test_the_contract_names_every_status_that_an_error_can_have(contract: dict[str, Any]) -> None:
    described = {
        int(status)
        for item in contract["paths"].values()
        for method in METHODS & item.keys()
        for status in item[method]["responses"]
    }
    assert set(_STATUSES.values()) <= described


def test_each_operation_has_a_name_and_a_summary_of_its_own(contract: dict[str, Any]) -> None:
    operations = [item[method] for item in contract["paths"].values() for method in METHODS & item.keys()]
    for field in ("operationId", "summary"):
        assert len({operation[field] for operation in operations}) == len(operations)


def test_the_contract_states_the_version_and_the_limits_that_the_code_has(contract: dict[str, Any]) -> None:
    assert contract["info"]["version"] == __version__
    words = contract["components"]["schemas"]["NewTask"]["description"]
    assert f"{MAX_EVENT_BYTES:,}" in words
    assert f"{MAX_QUOTED_EVENT_BYTES:,}" in words
    assert f"{MAX_DEPTH} levels" in words
    assert HORIZON_MS // 86_400_000 // 365 == 10
    assert "ten years" in contract["components"]["schemas"]["NewTask"]["properties"]["timestamp"]["description"]
