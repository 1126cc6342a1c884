"""Idempotency keys: the same key with the same body means the same task, however often it is sent.

The key decides the task's id: whatever keeps an id unique keeps its key unique, for as long as the task is kept.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any, Final

from task_scheduler.http.errors import BadRequestError

KEY_HEADER: Final = "idempotency-key"
_MAX_KEY: Final = 255  # characters


def idempotent_id(key: str, caller: bytes) -> str:
    """Return the id of the task that a caller makes under a key; callers with another secret have other keys."""
    if not 1 <= len(key) <= _MAX_KEY or not key.isascii() or not key.isprintable():
        raise BadRequestError(f"Idempotency-Key must have 1 to {_MAX_KEY} printable ASCII characters.")
    digest = hashlib.sha256(b"task-scheduler\0" + caller + b"\0" + key.encode()).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


def fingerprint(body: Mapping[str, Any]) -> str:
    """Return what tells one request's body from another's, whatever the order of its fields."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
