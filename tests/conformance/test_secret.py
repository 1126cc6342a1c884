"""The secret: right, wrong, missing, in the header or in the body."""

import json

import pytest

from tests.support.api import PAST, SECRET_HEADER, Api, together
from tests.support.event_log import EventLog
from tests.support.event_stream import EVENT_STREAM, follow

_SOMETHING = "8fceb45b-0241-4d04-9f3f-334679586370"
_GUARDED = [
    ("POST", "/schedule"),
    ("GET", "/schedule"),
    ("POST", "/cancel"),
    ("DELETE", "/cancel"),
    ("GET", f"/tasks/{_SOMETHING}"),
    ("DELETE", f"/tasks/{_SOMETHING}"),
    ("GET", "/events"),
    ("GET", "/events?after=0&limit=1"),
]


@pytest.fixture
def secret(api: Api) -> str:
    if api.deployment.secret is None:
        pytest.skip("this deployment has no secret")
    return api.deployment.secret


@pytest.mark.parametrize(("method", "path"), _GUARDED)
@pytest.mark.usefixtures("secret")
def test_a_guarded_route_wants_the_secret(api: Api, method: str, path: str) -> None:
    body = {"timestamp": PAST, "message": "hello", "id": _SOMETHING} if method != "GET" or path == "/schedule" else {}
    answer = api.send(method, path, content=json.dumps(body).encode(), anonymous=True)
    assert answer.status == 401
    assert SECRET_HEADER in answer.errors[0]


def test_only_the_exact_secret_opens(api: Api, secret: str) -> None:
    wrong: list[str | bytes] = [
        "",
        "wrong",
        secret[:-1],
        secret + "x",
        secret[::-1],
        secret.swapcase(),
        f'"{secret}"',
        "x" * 5_000,
    ]
    wrong += [secret.encode() + b"\xff", "sécret".encode(), "sécret".encode("latin-1")]

    def answer_to(given: str | bytes) -> int:
        body = {"timestamp": PAST, "message": "hello"}
        return api.send("POST", "/schedule", body=body, headers={SECRET_HEADER: given}, anonymous=True).status

    chosen = api.few(wrong)
    assert together(answer_to, chosen) == [401] * len(chosen)


@pytest.mark.usefixtures("secret")
def test_a_stream_wants_the_secret(api: Api) -> None:
    answer = api.send("GET", "/events", headers={"accept": EVENT_STREAM}, anonymous=True)
    assert answer.status == 401


def test_the_secret_in_the_body_is_taken_and_never_seen_again(api: Api, log: EventLog, secret: str) -> None:
    start = log.position
    body = {"timestamp": PAST, "message": "hello", "secret": secret, "more": 1}
    answers = [
        api.send("POST", "/schedule", body=body, anonymous=True),
        api.send("GET", "/schedule", body=body, anonymous=True),
        api.send("POST", "/schedule", body=body),
    ]
    for answer in answers:
        assert answer.status == 200
        task = api.ledger.accepted[answer.body["id"]]
        [envelope] = log.wait_for([task])
        assert envelope["event"] == {"id": task.id, "timestamp": PAST, "message": "hello", "more": 1}
        shown = api.task(task.id)
        assert shown["extra"] == {"more": 1}
        assert secret not in json.dumps([answer.body, envelope, shown])
    frames = follow(api, after=start, wanted={answer.body["id"] for answer in answers})
    assert not any(secret in frame.fields["data"] for frame in frames)


def test_the_secret_in_the_body_cancels(api: Api, secret: str) -> None:
    task = api.schedule({"in": "1h", "message": "hello"})
    for method in ("POST", "DELETE"):
        answer = api.send(method, "/cancel", body={"id": task.id, "secret": secret}, anonymous=True)
        assert answer.status == 200


@pytest.mark.usefixtures("secret")
def test_a_wrong_secret_in_the_body_does_not_open(api: Api) -> None:
    wrong: list[object] = ["", "wrong", "sécret", "\ud800", 5, None, True, [], {}]
    for secret in api.few(wrong):
        body = {"timestamp": PAST, "message": "hello", "secret": secret}
        assert api.send("POST", "/schedule", body=body, anonymous=True).status == 401, secret


@pytest.mark.usefixtures("secret")
def test_a_stranger_does_not_learn_which_tasks_exist(api: Api) -> None:
    task = api.schedule({"in": "1h", "message": "hello"})
    answers = [api.send("GET", f"/tasks/{task_id}", anonymous=True) for task_id in (task.id, _SOMETHING, "nonsense")]
    assert [answer.status for answer in answers] == [401] * 3
    assert len({str(answer.body) for answer in answers}) == 1
    assert api.send("POST", "/cancel", body={"id": task.id}, anonymous=True).status == 401
    assert api.task(task.id)["status"] == "scheduled"
