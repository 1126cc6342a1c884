"""The parameters of lists: what is wrong with them is named, and unknown ones are rejected."""

from collections.abc import Mapping

import pytest

from task_scheduler.api.errors import BadRequestError
from task_scheduler.api.query import Query
from task_scheduler.contract import MAX_PAGE


def _mistakes(parameters: Mapping[str, str]) -> tuple[str, ...]:
    asked = Query(parameters)
    asked.tasks()
    asked.limit(50)
    with pytest.raises(BadRequestError) as refused:
        asked.check()
    return refused.value.errors


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
def test_each_wrong_value_is_named(name: str, text: str) -> None:
    [sentence] = _mistakes({name: text})
    assert sentence.split()[0] == name


def test_an_unknown_parameter_is_named_with_the_allowed_ones() -> None:
    """A list with a misspelt filter would show everything."""
    assert _mistakes({"stauts": "failed"}) == (
        "Unknown query parameter 'stauts'. Allowed: status, from, to, tag, cursor, limit.",
    )


def test_thousands_of_unknown_parameters_get_a_short_error() -> None:
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
