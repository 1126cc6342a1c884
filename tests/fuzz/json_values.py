"""Any JSON: values with the characters that break framings, and bodies that are nearly right."""

import json
from typing import Any, Final

from hypothesis import strategies as st

# Ends of lines for Python, for JavaScript and for streams of events; a byte order mark, no characters, a cut escape.
AWKWARD: Final = [
    "\r",
    "\n",
    "\r\n",
    "\n\n",
    "\u2028",
    "\u2029",
    "\x85",
    "\x0b",
    "\ufeff",
    "\0",
    "\ufffe",
    "\uffff",
    "\\",
    '"',
    ":",
]
TEXTS: Final = st.lists(
    st.sampled_from([*AWKWARD, "data: x", "id: 9", "\U0001f600"]) | st.text(max_size=5), max_size=5
).map("".join)
VALUES: Final = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner | st.none(), max_size=3) | st.dictionaries(TEXTS, inner | st.none(), max_size=3),
    max_leaves=8,
)

_TIMES: Final = st.sampled_from(
    ["2026-12-01T09:00", "2020-01-01", "2026-W49-2", "2036-11-21T09:00:00.0001Z", "2026-10-25T02:30", "9999-12-31", "x"]
)
_FIELDS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "message": VALUES | st.none(),
    "timestamp": _TIMES | VALUES,
    "in": st.sampled_from([0, 30, -1, 1e308, 10**400, "30s", "7d", "1.5h", "-1s", True]) | VALUES,
    "timezone": st.sampled_from(["Europe/Berlin", "UTC", "Mars", ""]) | VALUES,
    "tags": st.dictionaries(st.sampled_from(["user", "aws.x", "", "a b"]), TEXTS | st.integers(), max_size=3) | VALUES,
    "id": st.uuids().map(str) | VALUES,
    "ids": st.lists(st.uuids().map(str) | VALUES, max_size=3),
    "tag": st.sampled_from(["user:42", "user", ":"]) | VALUES,
    "secret": VALUES,
    "tasks": VALUES,
}
OBJECTS: Final = st.lists(st.sampled_from(sorted(_FIELDS)), max_size=4, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: _FIELDS[name] for name in names})
)
_TASKS: Final = st.fixed_dictionaries({"message": VALUES, "in": st.sampled_from([0, "1h", "30d"])})
_BATCHES: Final = st.lists(OBJECTS | _TASKS | VALUES, max_size=4).map(lambda tasks: {"tasks": tasks})

WHOLE: Final = st.tuples(OBJECTS | _TASKS | _BATCHES, st.booleans()).map(
    lambda drawn: json.dumps(drawn[0], ensure_ascii=drawn[1]).encode("utf-8", "surrogatepass")
)


def _edited(body: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for start, length, piece in edits:
        at = start % (len(body) + 1)
        body = body[:at] + piece + body[at + length :]
    return body


_PIECES: Final = st.binary(max_size=4) | st.sampled_from(
    [
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"\\ud800",
        b"\\udc00",
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
        b"[" * 300,
        b'{"a":' * 300,
        b"9" * 4_400,
        b"null",
        b'"message":1,',
        b"\x00",
        b"\\u0000",
    ]
)
EDITED: Final = st.builds(
    _edited, WHOLE, st.lists(st.tuples(st.integers(0, 500), st.integers(0, 4), _PIECES), max_size=3)
)
BODIES: Final = WHOLE | EDITED | EDITED | st.binary(max_size=30)
