"""The body of a request: bytes in, a JSON object out, or a sentence that says what is wrong with it."""

import json
from codecs import BOM_UTF8
from typing import Any, Final, Never

from task_scheduler.api.errors import BadRequestError, BodyTooLargeError
from task_scheduler.contract import MAX_BODY_BYTES
from task_scheduler.task import MAX_DEPTH

_EXAMPLE: Final = 'such as {"timestamp": "2026-11-21T09:00:00Z", "message": "Hello"}'
_TOO_DEEP: Final = f"The request body is nested too deeply: at most {MAX_DEPTH} levels are taken."
_TYPES: Final = {list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}


def read_object(body: bytes) -> dict[str, Any]:
    """Return the fields of the JSON object in `body`, without the secret that older clients put there."""
    fields = _parse(body)
    fields.pop("secret", None)
    return fields


def read_secret(body: bytes) -> object:
    """Return what stands in the body as the secret; None where there is no such field, nor a readable body."""
    if b"secret" not in body:
        return None
    try:
        return _parse(body).get("secret")
    except ValueError:
        return None


def _parse(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_BODY_BYTES:
        raise BodyTooLargeError(f"The request body is larger than {MAX_BODY_BYTES:,} bytes.")
    if not body.strip():
        raise BadRequestError(f"The request body is empty: send a JSON object {_EXAMPLE}.")
    value = _loads(body)
    if not isinstance(value, dict):
        raise BadRequestError(
            f"The request body must be a JSON object {_EXAMPLE}, not {_TYPES.get(type(value), 'null')}."
        )
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):
        raise BadRequestError(_TOO_DEEP)
    if b"\\u" in body:
        _refuse_lone_surrogates(value)
    return value


def _loads(body: bytes) -> object:
    try:
        return _DECODER.decode(body.removeprefix(BOM_UTF8).decode())
    except UnicodeDecodeError as error:
        reason = f"is not valid UTF-8: {error.reason} at byte {error.start}."
    except json.JSONDecodeError as error:
        reason = f"is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}."
    except RecursionError:
        raise BadRequestError(_TOO_DEEP) from None
    except BadRequestError:
        raise
    except ValueError:  # what is left is Python's bound on the digits of an integer
        reason = "holds an integer of more digits than are taken here (4,300)."
    raise BadRequestError(f"The request body {reason}")


def _refuse_constant(name: str) -> Never:
    raise BadRequestError(f"The request body is not valid JSON: {name} is not a JSON number.")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise BadRequestError(f"The request body holds the number {text[:40]}, which is too large for a 64-bit float.")
    return number


def _is_deeper(value: object, levels: int) -> bool:
    """Walk level by level, since recursion is what deep nesting would break."""
    level = [value]
    for _ in range(levels):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)  # type: ignore[attr-defined]  # only containers are kept below
            if isinstance(child, (dict, list))
        ]
        if not level:
            return False
    return True


def _refuse_lone_surrogates(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BadRequestError(
            "The request body holds half of a surrogate pair (\\ud800 to \\udfff), which is not a character."
        ) from None


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
