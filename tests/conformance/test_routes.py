"""What is there, what is not, and the contract that lists it."""

import re

import pytest

from tests.support.api import Api
from tests.support.contract import METHODS


def test_health_tells_the_version(api: Api) -> None:
    answer = api.send("GET", "/health", anonymous=True)
    assert answer.status == 200
    assert answer.body["status"] == "ok"
    assert answer.body["version"] == api.contract.document["info"]["version"]


def test_each_route_says_which_methods_it_takes(api: Api) -> None:
    for template in api.contract.document["paths"]:
        taken = api.contract.methods(template)
        for method in api.few(sorted({name.upper() for name in METHODS} - taken - {"HEAD", "OPTIONS", "TRACE"})):
            answer = api.send(method, re.sub(r"\{\w+\}", "x", template), anonymous=True)
            assert answer.status == 405
            allowed = {name.strip() for name in answer.headers["allow"].split(",")}
            assert allowed - {"HEAD", "OPTIONS"} == taken
            assert method in answer.errors[0]


@pytest.mark.parametrize("path", ["/health", "/openapi.json", "/tasks", "/events", "/"])
def test_head_has_the_status_and_type_of_get_and_no_body(api: Api, path: str) -> None:
    get = api.http.get(path, headers=api.secret)
    for accept in ("*/*", "text/event-stream"):  # which does not wait for an event
        head = api.http.head(path, headers={**api.secret, "accept": accept})
        assert (head.status_code, head.content) == (get.status_code, b"")
        assert head.headers["content-type"] == get.headers["content-type"]


def test_head_does_nothing_where_get_changes_something(api: Api) -> None:
    assert api.http.head("/schedule", headers=api.secret).status_code == 405


@pytest.mark.parametrize("path", ["/tasks?status=scheduled&status=failed", "/events?after=1&limit=2&after=1"])
def test_a_parameter_that_is_given_twice_is_rejected(api: Api, path: str) -> None:
    answer = api.send("GET", path)
    assert answer.status == 400
    assert "is given more than once" in answer.errors[0]


def test_unknown_routes_are_404(api: Api) -> None:
    paths = (
        "/nowhere",
        "/schedule/more",
        "/tasks/8fceb45b-0241-4d04-9f3f-334679586370/more",
        "/events/1",
        "/Schedule",
        "/schedul%C3%A9",
        "/%FF",
        "/.env",
        "/assets/nothing.js",
        "/assets/index.html",
        "/assets/..%2froutes.py",
        "/assets/",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/" + "x" * 4_000,
    )
    for path in api.few(paths):
        for anonymous in (False, True):
            assert api.send("GET", path, anonymous=anonymous).status == 404, path


def test_ids_that_cannot_be_are_404(api: Api) -> None:
    ids = (
        "x",
        "0",
        "%00",
        "%FF",
        "%C3%A9",
        "null",
        "8fceb45b-0241-4d04-9f3f-33467958637",
        "8fceb45b" * 200,
        "a%0Ab",
        "%20",
    )
    for task_id in api.few(ids):
        for method in ("GET", "DELETE"):
            assert api.send(method, f"/tasks/{task_id}").status == 404, task_id


def test_answers_are_json_that_nobody_keeps_or_takes_for_a_page(api: Api) -> None:
    """A cache between client and server must not answer for it, nor show one what was told to another."""
    made = api.schedule({"in": "1d", "message": "hello"})
    calls = [("GET", path) for path in ("/health", "/events", "/tasks", f"/tasks/{made.id}", "/tasks/none", "/nowhere")]
    for method, path in [*calls, ("PUT", "/schedule"), ("POST", "/cancel")]:
        headers = api.send(method, path).headers
        assert headers["content-type"].partition(";")[0] == "application/json"
        assert headers["cache-control"] == "no-store", path
        assert headers["x-content-type-options"] == "nosniff", path
    assert api.cancel(made.id).headers["cache-control"] == "no-store"
    for path in ("/openapi.json", "/tasks"):
        assert api.http.get(path).headers["cache-control"] == "no-store"
    with api.http.stream("GET", "/events", headers={"accept": "text/event-stream", **api.secret}) as stream:
        assert stream.headers["cache-control"] == "no-store"
        assert stream.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/schedule", "/tasks", "/events", "/"])
def test_pages_of_other_sites_are_given_no_leave_to_call(api: Api, path: str) -> None:
    """A browser asks first, since the secret travels in a header of its own."""
    origin = {"origin": "https://elsewhere.example"}
    asking = {"access-control-request-method": "POST", "access-control-request-headers": "x-pd-secret"}
    for answer in (api.http.options(path, headers=origin | asking), api.http.get(path, headers=origin | api.secret)):
        assert not [name for name in answer.headers if name.startswith("access-control-")]
