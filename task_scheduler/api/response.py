"""A response, free of any web framework."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

JSON: Final = "application/json"
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

RETRY_AFTER_S: Final = 1
"""How long a client should wait before it repeats a request that was rejected for now."""

NO_STORE: Final[Mapping[str, str]] = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
"""Responses about tasks are neither cached nor sniffed."""


@dataclass(frozen=True, slots=True)
class Response:
    """What a route returns; `body` is a whole or arrives in pieces."""

    status: int
    body: bytes | AsyncIterator[bytes]
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=lambda: NO_STORE)


def json_response(content: object, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Response:
    """Respond with JSON."""
    body = _encode(content).encode()
    return Response(status=status, body=body, headers={**NO_STORE, **(headers or {})})


def error_response(status: int, errors: Sequence[str], headers: Mapping[str, str] | None = None) -> Response:
    """Respond with the one shape that all errors have: a sentence for each mistake."""
    again = {"retry-after": str(RETRY_AFTER_S)} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return json_response({"errors": list(errors)}, status, {**again, **(headers or {})})
