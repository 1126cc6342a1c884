"""Idempotency keys: the same key with the same body means the same task, however often the request is sent.

A key belongs to the deployment, not to the secret that it was sent with: a request that is repeated while the secret is
being changed must not make a second task.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from task_scheduler.api.errors import BadRequestError
from task_scheduler.contract import IDEMPOTENCY_KEY_HEADER
from task_scheduler.engine import IdempotencyKey

_MAX_KEY: Final = 255  # characters


def read_key(headers: Mapping[str, str]) -> str | None:
    """Return the Idempotency-Key of a request, None if it has none; raises BadRequestError."""
    key = headers.get(IDEMPOTENCY_KEY_HEADER)
    if key is not None and (not 1 <= len(key) <= _MAX_KEY or not key.isascii() or not key.isprintable()):
        raise BadRequestError(f"Idempotency-Key must have 1 to {_MAX_KEY} printable ASCII characters.")
    return key


def task_key(key: str | None, body: Mapping[str, Any], *, index: int | None = None) -> IdempotencyKey | None:
    """Return the key of one task: the one of its request, with its index if it is an item of a batch."""
    if key is None:
        return None
    # No key has a line break in it, so an item of a batch never has the name of another key.
    return IdempotencyKey(key if index is None else f"{key}\n{index}", fingerprint(body))


def fingerprint(body: Mapping[str, Any]) -> str:
    """Return a digest of a request's body that does not depend on the order of its fields."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
