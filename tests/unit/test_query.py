"""The parameters of lists: what they mean, what is wrong with them, and cursors that lead back to their place."""

import uuid
from collections.abc import Mapping

import pytest

from task_scheduler.api.errors import BadRequestError
from task_scheduler.api.query import Query, cursor
from task_scheduler.contract import MAX_PAGE
from task_scheduler.engine import Cursor, TaskQuery
from task_scheduler.task import Status


def _asked(**parameters: str) -> TaskQuery:
    asked = Query(parameters)
    query = asked.tasks()
    asked.check()
    return query


def _mistakes(parameters: Mapping[str, str]) -> tuple[str, ...]:
    asked = Query(parameters)
    asked.tasks()
    asked.limit(50)
    with pytest.raises(BadRequestError) as refused:
        asked.check()
    return refused.value.errors


def test_nothing_is_asked_about_what_is_not_given() -> None:
    assert _asked() == TaskQuery()
    assert Query({}).limit(50) == 50


def test_every_parameter_has_its_place_in_the_query() -> None:
    place = Cursor(7, str(uuid.UUID(int=1)))
    query = _asked(
        **{"from": "1970-01-01T00:00:01Z", "to": "1970-01-01T02:00:02+02:00"},
        status="failed",
        tag="user:42",
        cursor=cursor(place) or "",
    )
    assert query == TaskQuery(status=Status.FAILED, from_ms=1_000, to_ms=2_000, tag=("user", "42"), after=place)


def test_the_plus_of_an_offset_may_have_become_a_space() -> None:
    assert _asked(to="1970-01-01T02:00:02 02:00") == _asked(to="1970-01-01T02:00:02+02:00")


@pytest.mark.parametrize(
    ("text", "tag"), [("a:b", ("a", "b")), ("a:b:c", ("a", "b:c")), ("a::", ("a", ":")), ("a: ", ("a", " "))]
)
def test_a_tag_is_split_at_its_first_colon(text: str, tag: tuple[str, str]) -> None:
    assert _asked(tag=text).tag == tag


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("status", text) for text in ("", "done", "Scheduled", "parked", "scheduled ")),
        *((name, text) for name in ("from", "to") for text in ("", "soon", "0", "2026-13-01", "2026-01-01 T")),
        *(("tag", text) for text in ("", "user", ":", "user:", ":42")),
        *(("limit", text) for text in ("", "0", "1001", "-1", "+1", " 1", "1.0", "1_0", "٣", "x", "9" * 5_000)),
        *(("cursor", text) for text in ("", "x", "é", "\0", "bnVsbA==", "e30=", "W10=", "WzEsIDJd", "A" * 5_000)),
    ],
)
def test_a_mistake_is_named(name: str, text: str) -> None:
    [sentence] = _mistakes({name: text})
    assert sentence.split()[0] == name


def test_every_mistake_has_a_sentence() -> None:
    names = ("status", "from", "to", "tag", "cursor", "limit")
    assert tuple(sentence.split()[0] for sentence in _mistakes(dict.fromkeys(names, ""))) == names


def test_a_parameter_that_nobody_looked_for_is_named_with_those_that_there_are() -> None:
    """A list with a misspelt filter would show everything."""
    assert _mistakes({"stauts": "failed"}) == (
        "Unknown query parameter 'stauts'. Allowed: status, from, to, tag, cursor, limit.",
    )


def test_thousands_of_unknown_parameters_get_a_short_answer() -> None:
    assert len(" ".join(_mistakes({f"{number}{'x' * 100}": "" for number in range(5_000)}))) < 2_000


def test_whole_numbers_keep_their_bounds() -> None:
    numbers = Query({"least": "3", "most": "9", "leading": "007", "below": "2", "above": "10"})
    for name, found in {"least": 3, "most": 9, "leading": None, "missing": None}.items():
        assert numbers.integer(name, minimum=3, maximum=9) == found
    assert Query({"limit": str(MAX_PAGE)}).limit(50) == MAX_PAGE
    assert numbers.integer("below", minimum=3, maximum=9) is None
    assert numbers.integer("above", minimum=3, maximum=9) is None
    with pytest.raises(BadRequestError, match="3 to 9"):
        numbers.check()


def test_the_last_page_gives_no_cursor() -> None:
    assert cursor(None) is None
