"""The clients against a service that answers from a script: what they send, repeat, believe and raise."""

import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from task_scheduler.client import (
    ApiError,
    BadRequestError,
    KeyConflictError,
    NotFoundError,
    ServerError,
    Status,
    TooLargeError,
    TooLateError,
    TooManyRequestsError,
    UnauthorizedError,
    UnexpectedResponseError,
    UnreachableError,
)
from tests.support.fake_service import (
    SCHEDULED,
    TASK_ID,
    Kind,
    answer,
    refusal,
    shown,
)

HTML = httpx.Response(200, html="<h1>It works!</h1>")
DUE = datetime(2026, 12, 1, 8, tzinfo=UTC)
CALLS: list[tuple[str, tuple[object, ...]]] = [
    ("schedule", ("2026-12-01T08:00:00Z", "hello")),
    ("schedule_in", ("30s", "hello")),
    ("cancel", (TASK_ID,)),
    ("cancel_tagged", ("user", "42")),
    ("reschedule", (TASK_ID, "2026-12-01T08:00:00Z")),
    ("get", (TASK_ID,)),
    ("emitted", ()),
    ("health", ()),
]
ANSWERS: dict[str, object] = {
    "schedule": SCHEDULED,
    "schedule_in": SCHEDULED,
    "cancel": {"id": TASK_ID, "message": "Cancelled"},
    "cancel_tagged": {"cancelled": 0, "not_cancelled": 0, "more": False},
    "reschedule": shown(),
    "get": shown(),
    "emitted": {"events": [], "position": 0},
    "health": {"status": "ok", "version": "0.1.0"},
}
every_call = pytest.mark.parametrize(("name", "arguments"), CALLS, ids=[name for name, _ in CALLS])


@pytest.mark.parametrize(
    ("when", "sent"),
    [
        (DUE, "2026-12-01T08:00:00.000+00:00"),
        (DUE.astimezone(timezone(timedelta(hours=-5))), "2026-12-01T03:00:00.000-05:00"),
        (DUE + timedelta(microseconds=1), "2026-12-01T08:00:00.001+00:00"),
        (DUE + timedelta(microseconds=1_000), "2026-12-01T08:00:00.001+00:00"),
        (DUE - timedelta(microseconds=1), "2026-12-01T08:00:00.000+00:00"),
        # The last microsecond of summer time: the next millisecond is winter time, and not an hour later.
        (
            datetime(2026, 10, 25, 2, 59, 59, 999_999, tzinfo=ZoneInfo("Europe/Berlin")),
            "2026-10-25T03:00:00.000+02:00",
        ),
        ("whatever the service takes", "whatever the service takes"),
    ],
)
def test_a_time_is_sent_with_its_offset_and_never_made_earlier(kind: Kind, when: object, sent: str) -> None:
    scripted = kind(answer(SCHEDULED))
    scripted.call("schedule", when, "hello")
    assert scripted.service.bodies[0]["timestamp"] == sent


@pytest.mark.parametrize(
    ("delay", "sent"),
    [
        (30, 30),
        (0.5, 0.5),
        ("5m", "5m"),
        (timedelta(hours=1), 3600),
        (timedelta(microseconds=1), 0.001),
        (timedelta(days=3652, microseconds=999_001), 3652 * 86_400 + 1),
    ],
)
def test_a_delay_is_sent_as_the_service_takes_it(kind: Kind, delay: object, sent: object) -> None:
    scripted = kind(answer(SCHEDULED), answer(shown()))
    scripted.call("schedule_in", delay, "hello")
    scripted.call("reschedule", TASK_ID, delay=delay)
    assert [body["in"] for body in scripted.service.bodies] == [sent, sent]


@pytest.mark.parametrize("when", [date(2027, 1, 1), 1_800_000_000, 1.5, b"2027-01-01", object(), ["2027-01-01"]])
def test_a_time_of_another_type_is_a_type_error(kind: Kind, when: object) -> None:
    with pytest.raises(TypeError, match=f"not {type(when).__name__}"):
        kind().call("schedule", when, "hello")


def test_the_second_of_two_equal_wall_clock_times_is_sent_by_its_offset_alone(kind: Kind) -> None:
    """A timezone means the first of them."""
    twice = datetime(2026, 10, 25, 2, 30, fold=1)  # noqa: DTZ001 - of a wall clock
    with pytest.raises(ValueError, match="fold=1"):
        kind().call("schedule", twice, "hello", timezone="Europe/Berlin")
    scripted = kind(answer(SCHEDULED))
    scripted.call("schedule", twice.replace(tzinfo=ZoneInfo("Europe/Berlin")), "hello")
    assert scripted.service.bodies[0]["timestamp"] == "2026-10-25T02:30:00.000+01:00"


def test_invalid_arguments_raise_before_a_request_is_sent(kind: Kind) -> None:
    scripted = kind(answer(SCHEDULED))
    naive = datetime(2026, 12, 1, 9)  # noqa: DTZ001 - that is the mistake
    wrong: list[tuple[tuple[object, ...], dict[str, object], str]] = [
        ((naive, "hello"), {}, "without a time zone"),
        ((DUE, "hello"), {"timezone": "Europe/Berlin"}, "no zone of its own"),
        ((None, "hello"), {}, "either"),
        ((DUE, float("nan")), {}, "JSON"),
        ((DUE, "\ud800"), {}, "surrogate"),
        ((DUE, "hello"), {"extra": {"id": "x", "secret": "y"}}, "id, secret"),
        ((DUE, "hello"), {"idempotency_key": "a\nb"}, "printable ASCII"),
        ((DUE, "hello"), {"idempotency_key": "é"}, "printable ASCII"),
    ]
    for arguments, options, words in wrong:
        with pytest.raises(ValueError, match=words):
            scripted.call("schedule", *arguments, **options)
    contradictions: list[dict[str, object]] = [
        {"delay": 5, "timestamp": DUE},
        {"delay": 5, "timezone": "UTC"},
        {"timezone": "UTC"},
    ]
    for contradiction in contradictions:
        with pytest.raises(ValueError, match=r"Give either|give timezone with"):
            scripted.call("reschedule", TASK_ID, **contradiction)
    with pytest.raises(TypeError):
        scripted.call("schedule", DUE, object())
    assert scripted.service.requests == []


@every_call
@pytest.mark.parametrize("trouble", [429, 502, 503, 504, httpx.ConnectError("no"), httpx.ReadTimeout("late")], ids=str)
def test_every_call_is_retried_after_transient_errors(
    kind: Kind, name: str, arguments: tuple[object, ...], trouble: int | httpx.RequestError
) -> None:
    given = refusal(trouble, "Not now.") if isinstance(trouble, int) else trouble
    scripted = kind(given, given, answer(ANSWERS[name]))
    scripted.call(name, *arguments)
    first, second, third = scripted.service.requests
    assert (first.content, first.headers) == (second.content, second.headers) == (third.content, third.headers)
    assert scripted.service.pauses == [0.25, 0.5]


def test_retries_send_the_same_idempotency_key(kind: Kind) -> None:
    scripted = kind(refusal(503, "Not now."), answer(SCHEDULED))
    for _ in range(2):
        scripted.call("schedule", DUE, "hello")
    scripted.call("schedule", DUE, "hello", idempotency_key="order 7")
    first, again, second, third = scripted.service.sent("idempotency-key")
    assert first == again != second
    assert uuid.UUID(first).version == 4
    assert third == "order 7"


def test_pauses_grow_follow_retry_after_and_are_bounded(kind: Kind) -> None:
    busy = [
        refusal(429, "Slow down.", retry_after=text) for text in ("2", "86400", "Wed, 21 Oct 2026 07:28:00 GMT", "-1")
    ]
    scripted = kind(*busy, refusal(503, "Not now."), retries=12)
    with pytest.raises(ServerError):
        scripted.call("health")
    pauses = scripted.service.pauses
    assert pauses[:4] == [2.25, 30, 1, 2]
    assert pauses[4:] == [4, 8, 16, 30, 30, 30, 30, 30]


def test_pauses_are_spread_by_chance(kind: Kind) -> None:
    scripted = kind(refusal(503, "Not now."), answer(ANSWERS["health"]), random=lambda: 0.0)
    scripted.call("health")
    assert scripted.service.pauses == [0.125]


def test_the_last_retry_raises_the_error_of_the_service(kind: Kind) -> None:
    for trouble, error in (
        (refusal(429, "Slow down."), TooManyRequestsError),
        (answer({"message": "Too Many Requests"}, 429), TooManyRequestsError),
        (refusal(503, "Not now."), ServerError),
        (httpx.Response(502, html="<h1>Bad Gateway</h1>"), ServerError),
        (httpx.ConnectTimeout(""), UnreachableError),
    ):
        scripted = kind(trouble, retries=1)
        with pytest.raises(error):
            scripted.call("health")
        assert len(scripted.service.requests) == 2


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, BadRequestError),
        (401, UnauthorizedError),
        (403, ApiError),
        (404, NotFoundError),
        (405, ApiError),
        (409, KeyConflictError),
        (413, TooLargeError),
        (500, ServerError),
    ],
)
def test_each_error_status_raises_its_class_and_is_not_retried(kind: Kind, status: int, error: type[ApiError]) -> None:
    scripted = kind(refusal(status, "One thing.", "Another."))
    with pytest.raises(error) as caught:
        scripted.call("schedule", DUE, "hello")
    assert type(caught.value) is error
    assert (caught.value.status, caught.value.errors) == (status, ("One thing.", "Another."))
    assert str(caught.value) == "One thing. Another."
    assert len(scripted.service.requests) == 1


def test_a_409_after_a_retry_says_that_the_first_attempt_may_have_worked(kind: Kind) -> None:
    late = refusal(409, "It was already emitted.")
    with pytest.raises(TooLateError):
        kind(late).call("cancel", TASK_ID)
    for script, doubts in (
        ([late], 0),
        ([refusal(429, "Slow down."), late], 0),
        ([httpx.ReadError("cut"), late], 1),
        ([refusal(503, "Not now."), late], 1),
    ):
        with pytest.raises(TooLateError) as caught:
            kind(*script).call("reschedule", TASK_ID, delay=5)
        assert len(caught.value.errors) == 1 + doubts


@every_call
@pytest.mark.parametrize(
    "strange",
    [
        HTML,
        answer([]),
        answer({}),
        answer({"id": 5, "version": None, "events": {}, "cancelled": None}),
        httpx.Response(200, text=""),
        httpx.Response(204),
        httpx.Response(403, json={"message": "Missing Authentication Token"}),
        httpx.Response(404, html="<h1>Not Found</h1>"),
        httpx.Response(401, text="Basic login needed"),
    ],
    ids=lambda response: f"{response.status_code} {response.text[:30]}",
)
def test_a_response_of_another_service_raises_unexpected_answer(
    kind: Kind, name: str, arguments: tuple[object, ...], strange: httpx.Response
) -> None:
    with pytest.raises(UnexpectedResponseError, match=r"does not respond like Task Scheduler.*is the URL right"):
        kind(strange).call(name, *arguments)


@every_call
def test_a_redirect_is_not_followed_with_the_secret(kind: Kind, name: str, arguments: tuple[object, ...]) -> None:
    scripted = kind(httpx.Response(307, headers={"location": "https://elsewhere.test/schedule"}))
    with pytest.raises(UnexpectedResponseError, match="redirects"):
        scripted.call(name, *arguments)
    assert [request.url.host for request in scripted.service.requests] == ["scheduler.test"]


def test_cancelling_by_a_tag_goes_on_while_there_is_more(kind: Kind) -> None:
    counts = [(100, True), (0, True), (0, True), (7, True), (0, True), (0, True), (3, False)]
    scripted = kind(*(answer({"cancelled": count, "not_cancelled": 1, "more": more}) for count, more in counts))
    assert scripted.call("cancel_tagged", "user", "42:a") == 110
    assert scripted.service.bodies == [{"tag": "user:42:a"}] * 7


def test_cancelling_by_a_tag_ends_where_nothing_can_be_cancelled(kind: Kind) -> None:
    with pytest.raises(UnexpectedResponseError, match="cancels none"):
        kind(answer({"cancelled": 0, "not_cancelled": 9, "more": True})).call("cancel_tagged", "user", "42")


def test_a_list_asks_for_the_next_page_when_it_is_needed(kind: Kind) -> None:
    pages = [
        answer({"tasks": [shown(id="a"), shown(id="b")], "cursor": "x+/="}),
        answer({"tasks": [], "cursor": "y"}),
        answer({"tasks": [shown(id="c")], "cursor": None}),
    ]
    scripted = kind(*pages)
    chosen: dict[str, Any] = {"status": Status.FAILED, "due_from": DUE, "due_to": "2027-01-01", "tag": ("user", "a b")}
    assert scripted.tasks(**chosen, page_size=2) == ["a", "b", "c"]
    asked = [dict(request.url.params) for request in scripted.service.requests]
    same = {"status": "failed", "from": "2026-12-01T08:00:00.000+00:00", "to": "2027-01-01", "tag": "user:a b"}
    assert [page.pop("cursor", None) for page in asked] == [None, "x+/=", "y"]
    assert asked == [{**same, "limit": "2"}] * 3
    lazy = kind(*pages)
    assert lazy.tasks(2) == ["a", "b"]
    assert len(lazy.service.requests) == 1
