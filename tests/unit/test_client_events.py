"""The clients on the event stream: whatever cuts it, each event comes once and in order."""

import httpx
import pytest

from task_scheduler.client import (
    ApiError,
    ServerError,
    TaskSchedulerError,
    UnauthorizedError,
    UnexpectedResponseError,
    UnreachableError,
)
from tests.support.fake_service import (
    URL,
    Answer,
    Kind,
    Scripted,
    Stream,
    answer,
    frame,
    refusal,
)

CUT = httpx.ReadError("cut")
RETRY = b"retry: 250\n:sse-handshake\n"


def test_a_cut_within_an_event_repeats_none_and_loses_none(kind: Kind) -> None:
    """At every byte of it."""
    whole = frame(2)
    for place in range(len(whole)):
        scripted = kind(Stream(RETRY, frame(1), whole[:place], CUT), Stream(whole + frame(3)))
        assert [event.sequence for event in scripted.events(3, 0)] == [1, 2, 3]
        assert scripted.service.sent("last-event-id") == ["0", "1"]


def test_repeated_events_are_dropped(kind: Kind) -> None:
    scripted = kind(Stream(frame(1), frame(3), frame(2), frame(3), CUT), Stream(frame(1), frame(3), frame(4)))
    assert [event.sequence for event in scripted.events(3, 0)] == [1, 3, 4]


@pytest.mark.parametrize(("asked", "pause"), [(b"0", 0.05), (b"1000", 1), (b"86400000", 30), (b"soon", 0.25)])
def test_the_service_says_when_to_come_back_within_bounds(kind: Kind, asked: bytes, pause: float) -> None:
    scripted = kind(Stream(b"retry: %s\n" % asked, frame(1)), Stream(frame(2)))
    assert len(scripted.events(2, 0)) == 2
    assert scripted.service.pauses == [pause]


def test_pauses_grow_to_30_s_and_begin_again_after_a_sign_of_life(kind: Kind) -> None:
    trouble: list[Answer] = [
        CUT,
        httpx.ConnectError("no"),
        refusal(503, "Not now."),
        httpx.Response(502),
        httpx.ReadTimeout(""),
    ]
    scripted = kind(
        *trouble, *trouble, Stream(frame(1), CUT), refusal(429, "Slow down.", retry_after="3"), Stream(frame(2))
    )
    assert [event.sequence for event in scripted.events(2, 0)] == [1, 2]
    assert scripted.service.pauses == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30, 30, 0.25, 3.5]


def test_the_callback_gets_errors_and_not_ends_of_the_stream(kind: Kind) -> None:
    told: list[tuple[TaskSchedulerError, float]] = []
    scripted = kind(httpx.ConnectError("no"), Stream(frame(1)), refusal(503, "Not now."), Stream(frame(2)))
    scripted.events(2, 0, dropped=lambda why, pause: told.append((why, pause)))
    assert [(type(why), str(why), pause) for why, pause in told] == [
        (UnreachableError, f"Cannot reach {URL}: no.", 0.25),
        (ServerError, "Not now.", 0.25),
    ]


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_client_error_ends_the_stream(kind: Kind, status: int) -> None:
    scripted = kind(Stream(frame(1)), refusal(status, "No."))
    with pytest.raises(ApiError, match="No") as caught:
        scripted.events(2, 0)
    assert caught.value.status == status
    assert isinstance(caught.value, UnauthorizedError) == (status == 401)


@pytest.mark.parametrize(
    "strange",
    [
        httpx.Response(200, html="<h1>It works!</h1>"),
        answer({"events": [], "position": 0}),
        httpx.Response(302, headers={"location": "https://elsewhere.test/"}),
        httpx.Response(404, html="<h1>Not Found</h1>"),
        Stream(b"data: hello\n\n"),
        Stream(b'data: {"id": "one"}\n\n'),
        Stream(b"event: position\ndata: here\n\n"),
    ],
)
def test_a_stream_of_another_service_raises_unexpected_answer(kind: Kind, strange: Answer) -> None:
    scripted = kind(strange)
    with pytest.raises(UnexpectedResponseError, match=r"[iI]s the URL right"):
        scripted.events(1)
    assert len(scripted.service.requests) == 1


def test_events_of_other_kinds_and_empty_ones_are_passed_over(kind: Kind) -> None:
    scripted = kind(Stream(b"event: news\ndata: x\n\n", b"id: 9\n\n", b"retry: 5\n\n", frame(1)))
    assert [event.sequence for event in scripted.events(1, 0)] == [1]


def test_leaving_the_loop_closes_the_connection(kind: Kind) -> None:
    response = Stream(frame(1), frame(2))
    assert len(kind(response).events(1, 0)) == 1
    assert response.closed


def test_lines_end_where_the_standard_says(kind: Kind) -> None:
    """A message may hold characters at which Python, but not a stream of events, would end a line."""
    data = frame(1).replace(b'{"n": 1}', '"a\u2028b\u2029c\x85d"'.encode())
    [event] = kind(Stream(data[:150], data[150:])).events(1, 0)
    assert event.message == "a\u2028b\u2029c\x85d"


def test_a_dead_connection_is_noticed() -> None:
    """A comment comes every 15 s, on AWS every 22 s: a minute without one means that there is nobody."""
    scripted = Scripted(Stream(frame(1)), timeout=5)
    scripted.events(1, 0)
    assert scripted.service.requests[0].extensions["timeout"] == {"connect": 5, "read": 60, "write": 5, "pool": 5}


def test_a_position_is_no_negative_number(kind: Kind) -> None:
    with pytest.raises(ValueError, match="after"):
        kind(Stream(frame(1))).events(1, -1)
