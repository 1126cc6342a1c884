"""The contract and the routes say the same."""

import json
import re
from typing import Any

import pytest
from openapi_spec_validator import validate

from task_scheduler import __version__
from task_scheduler.api.errors import _STATUSES
from task_scheduler.api.routes import ROUTES, openapi
from task_scheduler.task import HORIZON_MS, MAX_DEPTH, MAX_EVENT_BYTES, MAX_QUOTED_EVENT_BYTES, new_task

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
            assert (operation.get("security", contract["security"]) == []) is not route.requires_secret
            assert ("401" in operation["responses"]) is route.requires_secret


def test_the_contract_names_every_status_that_an_error_can_have(contract: dict[str, Any]) -> None:
    described = {
        int(status)
        for item in contract["paths"].values()
        for method in METHODS & item.keys()
        for status in item[method]["responses"]
    }
    assert set(_STATUSES.values()) <= described


def test_the_contract_states_the_version_and_the_limits_that_the_code_has(contract: dict[str, Any]) -> None:
    assert contract["info"]["version"] == __version__
    words = contract["components"]["schemas"]["NewTask"]["description"]
    assert f"{MAX_EVENT_BYTES:,}" in words
    assert f"{MAX_QUOTED_EVENT_BYTES:,}" in words
    assert f"{MAX_DEPTH} levels" in words
    assert HORIZON_MS // 86_400_000 // 365 == 10
    assert "ten years" in contract["components"]["schemas"]["NewTask"]["properties"]["timestamp"]["description"]


def test_a_delay_is_bounded_as_times_are_and_written_the_same_in_a_change(contract: dict[str, Any]) -> None:
    new, change = (contract["components"]["schemas"][name]["properties"]["in"] for name in ("NewTask", "TaskChange"))
    assert new["oneOf"] == change["oneOf"]
    assert new["oneOf"][0]["maximum"] * 1000 == HORIZON_MS


def test_a_tag_to_look_for_has_a_name_that_a_tag_can_have(contract: dict[str, Any]) -> None:
    listed = next(each for each in contract["paths"]["/tasks"]["get"]["parameters"] if each["name"] == "tag")
    pattern = listed["schema"]["pattern"]
    assert pattern == contract["components"]["schemas"]["CancellationBatch"]["properties"]["tag"]["pattern"]
    assert all(re.search(pattern, tag) for tag in ("user:42", "a.b:c:d"))
    assert not any(re.search(pattern, tag) for tag in ("user", "user:", ":42", "a..b:1", "aws.x:1", "a b:1"))


def test_each_example_of_a_task_makes_a_task(contract: dict[str, Any]) -> None:
    for operation in contract["paths"]["/schedule"].values():
        for example in operation["requestBody"]["content"]["application/json"]["examples"].values():
            assert new_task(example["value"], task_id="x", now_ms=1_795_300_000_000).due_ms
