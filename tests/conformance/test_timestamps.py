"""Timestamps and durations over HTTP: samples of the rules that tests/unit and tests/fuzz verify in full."""

from datetime import UTC, datetime
from typing import Final

from tests.support.api import Api, together

_YEAR: Final = datetime.now(UTC).year + 2
"""Of the timestamps here: ahead of now, and within the horizon."""
_UNDERSTOOD: Final = {
    f"{_YEAR}-11-22T10:30:00Z": f"{_YEAR}-11-22T10:30:00.000Z",
    f"{_YEAR}-11-22 10:30": f"{_YEAR}-11-22T10:30:00.000Z",
    f"{_YEAR}1122T161500+0545": f"{_YEAR}-11-22T10:30:00.000Z",
    f"+00{_YEAR}-11-22T10:30:00.000Z": f"{_YEAR}-11-22T10:30:00.000Z",
    f"{_YEAR}-11": f"{_YEAR}-11-01T00:00:00.000Z",
    f"{_YEAR}-01-01T01:00:00+02:00": f"{_YEAR - 1}-12-31T23:00:00.000Z",
    f"{_YEAR}-12-31T23:59:59.9999Z": f"{_YEAR + 1}-01-01T00:00:00.000Z",
}
_NO_TIMESTAMPS: Final[list[object]] = ["soon", "2030-02-30", "2030-11-22T10:30:60Z", "2" * 100_000, 5, True, None, []]
_NO_DURATIONS: Final[list[object]] = ["", "1w", "-5m", "9" * 5_000 + "d", -1, 1e300, 10**30, True, None, {}]


def test_each_way_to_write_an_instant_is_normalised(api: Api) -> None:
    chosen = dict(api.few(_UNDERSTOOD.items()))
    tasks = together(lambda text: api.schedule({"timestamp": text, "message": text}), chosen)
    assert {text: task.timestamp for text, task in zip(chosen, tasks, strict=True)} == chosen


def test_what_is_no_time_is_refused_by_name(api: Api) -> None:
    for name, values in {"timestamp": _NO_TIMESTAMPS, "in": _NO_DURATIONS}.items():
        for value in api.few(values):
            [error] = api.refuse({name: value, "message": "hello"})
            assert name in error.split(), value
