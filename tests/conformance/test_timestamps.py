"""Timestamps: which are understood, what they mean, and which are refused by name."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from tests.support.api import Api, together

_YEAR: Final = datetime.now(UTC).year + 2
"""Of the timestamps here: ahead of now, and within the horizon."""

# What follows the year in each way to write an instant, and what follows it in the answer.
_HALF_PAST_TEN: Final = "-11-22T10:30:00.000Z"
_UNDERSTOOD: Final = {
    # The ways of datetime.isoformat and Date.toISOString.
    "-11-22T10:30:00Z": _HALF_PAST_TEN,
    "-11-22T10:30:00.000Z": _HALF_PAST_TEN,
    "-11-22T10:30:00+00:00": _HALF_PAST_TEN,
    "-11-22T10:30:00.000000+00:00": _HALF_PAST_TEN,
    "-11-22T10:30:00": _HALF_PAST_TEN,
    "-11-22 10:30:00": _HALF_PAST_TEN,
    "-11-22T10:30": _HALF_PAST_TEN,
    "-11-22T10:30Z": _HALF_PAST_TEN,
    "-11-22T10Z": "-11-22T10:00:00.000Z",
    # Offsets.
    "-11-22T12:30:00+02:00": _HALF_PAST_TEN,
    "-11-22T12:30+02": _HALF_PAST_TEN,
    "-11-22T05:00:00-0530": _HALF_PAST_TEN,
    "-11-22T16:15:00.000+05:45": _HALF_PAST_TEN,
    "-11-23T10:29:00+23:59": _HALF_PAST_TEN,
    "-11-22T10:30:00-00:00": _HALF_PAST_TEN,
    "-01-01T01:00:00+02:00": None,  # in the year before
    # The basic form, lower case, a comma, the end of a day.
    "1122T103000Z": _HALF_PAST_TEN,
    "1122T1030": _HALF_PAST_TEN,
    "1122T103000.25+0000": "-11-22T10:30:00.250Z",
    "-11-22t10:30:00z": _HALF_PAST_TEN,
    "-11-22T10:30:00,5Z": "-11-22T10:30:00.500Z",
    "-11-22T24:00:00Z": "-11-23T00:00:00.000Z",
    # Dates alone, as Python and JavaScript take them.
    "-11-22": "-11-22T00:00:00.000Z",
    "1122": "-11-22T00:00:00.000Z",
    "-11": "-11-01T00:00:00.000Z",
    "": "-01-01T00:00:00.000Z",
    # Finer than a millisecond: the next millisecond, so that it is never early.
    "-11-22T10:30:00.1Z": "-11-22T10:30:00.100Z",
    "-11-22T10:30:00.123Z": "-11-22T10:30:00.123Z",
    "-11-22T10:30:00.123000Z": "-11-22T10:30:00.123Z",
    "-11-22T10:30:00.123001Z": "-11-22T10:30:00.124Z",
    "-11-22T10:30:00.0000001Z": "-11-22T10:30:00.001Z",
    "-11-22T10:30:00.999999999Z": "-11-22T10:30:01.000Z",
    "-12-31T23:59:59.9999Z": None,  # in the year after
}

_REFUSED: Final[Mapping[str, Sequence[object]]] = {
    "not a timestamp": [
        "",
        " ",
        "soon",
        "tomorrow",
        "now",
        "12:00",
        "T10:30:00Z",
        "PT30S",
        "null",
        "\x00",
        "🕥",
    ],
    "other ways to write one": [
        "11/22/2030",
        "22.11.2030",
        "Fri, 22 Nov 2030 10:30:00 GMT",
        "1921573800",
        "1921573800000",
    ],
    "dates that do not exist": [
        "2030-13-01T00:00:00Z",
        "2030-00-01",
        "2030-02-30",
        "2029-02-29T00:00:00Z",
        "2030-11-31",
    ],
    "times that do not exist": [
        "2030-11-22T25:00:00Z",
        "2030-11-22T24:00:01Z",
        "2030-11-22T10:60:00Z",
        "2030-11-22T10:30:61Z",
    ],
    "leap seconds": ["2030-12-31T23:59:60Z", "2016-12-31T23:59:60Z", "2030-11-22T10:30:60.5Z"],
    "offsets that do not exist": [
        "2030-11-22T10:30:00+24:00",
        "2030-11-22T10:30:00+02:60",
        "2030-11-22T10:30:00+",
        "2030-11-22T10:30:00ZZ",
    ],
    "years out of reach": [
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999Z",
        "9999-12-31T23:59:59-12:00",
        "10000-01-01T00:00:00Z",
        "+012030-11-22T10:30:00Z",
    ],
    "digits of other scripts": ["٢٠٣٠-11-22T10:30:00Z", "2030-11-22T10:30:0０Z"],  # noqa: RUF001 - that is the point
    "too long": [
        "2030-11-22T10:30:00." + "1" * 100_000 + "Z",
        "2" * 5_000,
        "2030-11-22T10:30:00Z" + " " * 1_000,
    ],
    "not text": [
        1_921_573_800,
        1.9e9,
        0,
        -1,
        True,
        False,
        None,
        [],
        ["2030-11-22"],
        {},
        {"at": "2030-11-22"},
    ],
}


def test_each_way_to_write_an_instant_is_normalised(api: Api) -> None:
    expected = {f"{_YEAR}{text}": f"{_YEAR}{rest}" for text, rest in _UNDERSTOOD.items() if rest}
    expected |= {
        f"{_YEAR}-01-01T01:00:00+02:00": f"{_YEAR - 1}-12-31T23:00:00.000Z",
        f"{_YEAR}-12-31T23:59:59.9999Z": f"{_YEAR + 1}-01-01T00:00:00.000Z",
        f"+00{_YEAR}-11-22T10:30:00.000Z": f"{_YEAR}{_HALF_PAST_TEN}",
        f"{_YEAR}-W01-4T10:30:00Z": datetime.fromisocalendar(_YEAR, 1, 4).strftime("%Y-%m-%dT10:30:00.000Z"),
    }
    chosen = dict(api.few(expected.items()))
    tasks = together(lambda text: api.schedule({"timestamp": text, "message": text}), chosen)
    assert {text: task.timestamp for text, task in zip(chosen, tasks, strict=True)} == chosen


def test_what_is_no_timestamp_is_refused_by_name(api: Api) -> None:
    timestamps = [timestamp for kind in _REFUSED.values() for timestamp in kind]

    def refuse(timestamp: object) -> list[str]:
        return api.refuse({"timestamp": timestamp, "message": "hello"})

    chosen = api.few(timestamps)
    for timestamp, errors in zip(chosen, together(refuse, chosen), strict=True):
        assert len(errors) == 1, timestamp
        assert "timestamp" in errors[0], timestamp


def test_what_is_no_duration_is_refused_by_name(api: Api) -> None:
    durations: list[object] = [
        "",
        " ",
        "s",
        "30",
        "-5m",
        "30 s",
        "5M",
        "1w",
        "5 parsecs",
        "1h30m",
        "٣s",
        "1e3s",
        "30s\n",
        "∞",
    ]
    durations += [True, False, None, [], [5], {}, {"seconds": 5}, -1, -0.001, -(10**30)]
    durations += [1e300, 10**30, "9" * 60 + "d", "9" * 5_000 + "d", "1." + "0" * 5_000 + "s", "100000d"]

    def refuse(duration: object) -> list[str]:
        return api.refuse({"in": duration, "message": "hello"})

    chosen = api.few(durations)
    for duration, errors in zip(chosen, together(refuse, chosen), strict=True):
        assert len(errors) == 1, duration
        assert errors[0].startswith("in "), f"{duration}: {errors}"
