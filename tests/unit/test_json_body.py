"""Bodies of requests: JSON objects as the standard has them, and the reason for refusing anything else."""

from typing import Final

import pytest

from task_scheduler.api.errors import BadRequestError
from task_scheduler.api.json_body import read_object

FINE: Final = b'"message": "hello"'


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b" \r\n\t ", b"hello", b"timestamp=2030-01-01&message=hello", b"[{%s}]" % FINE, b'"hello"'),
        *(b"42", b"true", b"null", b"{%s" % FINE, b"{%s}{}" % FINE, b"{%s,}" % FINE, b"{'message': 'hello'}"),
        *(b"{%s /* a comment */}" % FINE, b'{"message": "a\nb"}', b"{%s}\0" % FINE, b'{"x": "\\x41"}'),
        *(b'{"x": "\\u00"}', b'{"x": 012}'),
    ],
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequestError, match="body"):
        read_object(body)


@pytest.mark.parametrize(
    "octets", [b"\xff", b"\xe2\x82", b"\xc0\xaf", b"\xed\xa0\x80", "é".encode("latin-1"), b"\xf4\x90\x80\x80"]
)
@pytest.mark.parametrize("body", [b'{"x": "%s"}', b'{"%s": 1}'], ids=["value", "name"])
def test_what_is_not_utf8_is_refused(octets: bytes, body: bytes) -> None:
    with pytest.raises(BadRequestError, match="UTF-8"):
        read_object(body % octets)


@pytest.mark.parametrize(
    "value",
    [
        *("NaN", "Infinity", "-Infinity", "1e999", "-1e999", '[{"a": [1, NaN]}]', "9" * 5_000, "-" + "9" * 5_000),
        *(r'"\ud800"', r'"\udc00 and more"', r'"\udc00\ud800"', r'[{"a": ["\udfff"]}]', r'{"\ud83d": 1}'),
        *("[" * 100_000 + "]" * 100_000, "[" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000),
        "[" * 260 + "]" * 260,
    ],
    ids=lambda value: f"{value[:12]} {len(value)}",
)
def test_values_that_json_does_not_have_are_refused(value: str) -> None:
    with pytest.raises(BadRequestError):
        read_object(f'{{"x": {value}}}'.encode())
