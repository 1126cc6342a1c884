"""The names that the stack and the code in the functions must agree on; nothing else is here."""

from typing import Final

# Environment variables of the functions.
TASKS_TABLE: Final = "TASKS_TABLE"
EVENTS_TABLE: Final = "EVENTS_TABLE"
STATE_MACHINE_ARN: Final = "STATE_MACHINE_ARN"
SECRET_ARN: Final = "SECRET_ARN"  # noqa: S105 - the name of a variable, not a secret
ARMING_WINDOW_DAYS: Final = "ARMING_WINDOW_DAYS"
TASK_RETENTION_DAYS: Final = "TASK_RETENTION_DAYS"
EVENT_RETENTION_DAYS: Final = "EVENT_RETENTION_DAYS"

# The state machine: its states and the fields of its input.
WAIT_UNTIL_DUE: Final = "WaitUntilDue"
PUBLISH_MESSAGE: Final = "PublishMessage"
WAIT_UNTIL: Final = "wait_until"
EVENT: Final = "event"
ATTRIBUTES: Final = "attributes"

# What a sweep counts, as metrics.
OVERDUE: Final = "overdue"
SWEEPER_COUNTS: Final = ("armed", OVERDUE, "recorded", "rearmed", "failed")

# Keys of the tables. Rows of tags and of idempotency keys are in the tasks table, too.
TASK_ID: Final = "id"
BY_DUE: Final = "by_due"
BUCKET: Final = "bucket"
DUE_ID: Final = "due_id"
PAGE: Final = "page"
SEQUENCE: Final = "sequence"
EXPIRES_AT: Final = "expires_at"
