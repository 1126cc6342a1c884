"""Messages come out exactly as they went in."""

import json
from typing import Any, Final

from tests.support.api import PAST, Api, together
from tests.support.event_log import EventLog
from tests.support.event_stream import follow

_DEEP: Final = 250  # levels; 256 are allowed, the body and its message among them

_NUMBERS: Final = [
    0,
    -1,
    2**31,
    2**53,
    2**53 + 1,
    2**63 - 1,
    -(2**63),
    2**64,
    10**100,
    1.0,
    0.1,
    1e-7,
    1e22,
    1.5e300,
    5e-324,
    -0.0,
]
_TEXTS: Final = [
    "",
    " ",
    'quotes " and \\ and / and \\u0041 and \\n',
    "lines\nof\r\nall\rkinds\n\n",
    "data: not a frame\n\nid: 7\nevent: x\n\n:comment",
    "\t\b\f\x00\x01\x1f\x7f\x80\x9f",
    "\x00",
    "\uffff \ufffe \ufffd \ufdd0 \ufeff",
    "\u2028 \u2029 \x85 \u200b \u202e",
    "😀 👩‍👩‍👧‍👦 🇪🇺 𝄞 \U0010ffff",
    "é e\u0301 ß İ 中文 العربية עברית",
    "<script>&amp;</script> ${x} {{y}} %s $.z States.Format('{}')",
    "NaN",
    "null",
    PAST,
]
_KEYS: Final = [
    "a.$",
    "$.b",
    "$",
    "$$",
    "__proto__",
    "constructor",
    "",
    " ",
    "\x00",
    "\n",
    "😀",
    "\uffff",
    "id",
    "timestamp",
    "in",
    "secret",
    "N",
    "S",
]
_SHAPES: Final = [
    [],
    {},
    [[], [[]], {}, [{}], ""],
    [None, True, False, 0, 1, 1.0, "", "0"],
    {"a": {"b": {"c": [1, {"d": [2, [3, [4]]]}]}}},
    {key: {key: [key]} for key in _KEYS},
    {"event": '{"id": 1}', "message": {"message": {"message": None}}},
    {"S": "text"},
    {"wait_until": "1970-01-01T00:00:00Z"},
]


def test_messages_come_out_equal_to_what_went_in(api: Api, log: EventLog) -> None:
    """In the log, on the stream and in the task; 1, 1.0 and true are three different things."""
    messages: list[Any] = [False, *_NUMBERS, *_TEXTS, *_SHAPES, _NUMBERS, _TEXTS, _KEYS]
    messages.append(json.loads("[" * _DEEP + "]" * _DEEP))
    start = log.position
    tasks = together(lambda message: api.schedule({"timestamp": PAST, "message": message}), messages)
    logged = [envelope["event"]["message"] for envelope in log.wait_for(tasks)]
    streamed = {frame.task_id: frame.envelope for frame in follow(api, after=start, wanted={task.id for task in tasks})}
    shown = together(lambda task: api.task(task.id)["message"], tasks)
    for message, task, from_log, from_task in zip(messages, tasks, logged, shown, strict=True):
        assert _exactly(from_log) == _exactly(message)
        assert _exactly(streamed[task.id]["event"]["message"]) == _exactly(message)
        assert _exactly(from_task) == _exactly(message)


def test_large_messages_come_out_equal_to_what_went_in(api: Api, log: EventLog) -> None:
    """Characters of one byte, of four, and such as have six as an escape: counted as they travel."""
    messages: list[Any] = [
        "x" * 190_000,
        "😀" * 49_000,
        "\x00" * 30_000,
        {"n": [2**53 + 1] * 8_000},
        {f"key {n}": n for n in range(8_000)},
    ]
    tasks = together(lambda message: api.schedule({"timestamp": PAST, "message": message}), messages, at_once=2)
    for message, task, envelope in zip(messages, tasks, log.wait_for(tasks), strict=True):
        assert envelope["event"]["message"] == message
        assert api.task(task.id)["message"] == message


def test_the_summary_is_short_text(api: Api, log: EventLog) -> None:
    tasks = together(
        lambda message: api.schedule({"timestamp": PAST, "message": message}),
        ["hello", {"a": 1}, "x" * 5_000],
    )
    summaries = [envelope["metadata"]["summary"] for envelope in log.wait_for(tasks)]
    assert summaries[0] == "hello"
    assert all(len(summary) <= 1_000 for summary in summaries)


def _exactly(value: object) -> str:
    """Return text that is equal for equal JSON values only: 1 is neither 1.0 nor true."""
    return json.dumps(value, sort_keys=True)
