"""Names and limits of the HTTP contract that the API and its clients must agree on."""

from typing import Final

SECRET_HEADER: Final = "x-pd-secret"  # noqa: S105 - a name, not a secret
IDEMPOTENCY_KEY_HEADER: Final = "idempotency-key"
LAST_EVENT_ID_HEADER: Final = "last-event-id"

MAX_BODY_BYTES: Final = 1_048_576
"""Of a request: room for the largest event with every character escaped as text such as \\u00e9 needs it."""

MAX_PAGE: Final = 1_000
"""Tasks or events in one response."""

MAX_BATCH: Final = 100
"""Tasks that one request schedules or cancels."""

TASK_RETENTION_DAYS: Final = 30
"""How long an ended task is stored, unless the operator sets another time."""

EVENT_RETENTION_DAYS: Final = 7
"""How long an event is stored, unless the operator sets another time."""
