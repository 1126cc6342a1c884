"""Bodies of requests: JSON objects as the standard has them; anything else is rejected with a reason."""

from typing import Final

import pytest

from task_scheduler.api.errors import BadRequestError
from task_scheduler.api.json_body import read_object

FINE: Final = b'"message": "hello"'
NO_OBJECTS: Final = [
    *(b"", b" \r\n\t ", b"hello", b"timestamp=2030-01-01&message=hello", b"[{%s}]" % FINE, b'"hello"'),
    *(b"42", b"true", b"null", b"{%s" % FINE, b"{%s}{}" % FINE, b"{%s,}" % FINE, b"{'message': 'hello'}"),
    *(b"{%s /* a comment */}" % FINE, b'{"message": "a\nb"}', b"{%s}\0" % FINE, b'{"x": "\\x41"}'),
    *(b'{"x": "\\u00"}', b'{"x": 012}'),
]
NO_UTF8: Final = [b"\xff", b"\xe2\x82", b"\xc0\xaf", b"\xed\xa0\x80", "é".encode("latin-1"), b"\xf4\x90\x80\x80"]
NO_VALUES: Final = [
    *("NaN", "Infinity", "-Infinity", "1e999", "-1e999", '[{"a": [1, NaN]}]', "9" * 5_000, "-" + "9" * 5_000),
    *(r'"\ud800"', r'"\udc00 and more"', r'"\udc00\ud800"', r'[{"a": ["\udfff"]}]', r'{"\ud83d": 1}'),
    *("[" * 100_000 + "]" * 100_000, "[" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000, "[" * 260 + "]" * 260),
]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        *((body, "body") for body in NO_OBJECTS),
        *((body % octets, "UTF-8") for octets in NO_UTF8 for body in (b'{"x": "%s"}', b'{"%s": 1}')),
        *((f'{{"x": {value}}}'.encode(), " ") for value in NO_VALUES),
    ],
    ids=lambda given: f"{given[:20]!r} {len(given)}",
)
def test_a_body_that_is_no_strict_json_object_is_rejected(body: bytes, words: str) -> None:
    with pytest.raises(BadRequestError, match=words):
        read_object(body)
