"""The log of the local server: one JSON object a line, also for an error."""

import json
import logging
import sys

from task_scheduler.local.logs import JsonFormatter


def test_a_line_has_time_level_message_logger_extra_fields_and_traceback() -> None:
    try:
        1 / 0  # noqa: B018 - to raise
    except ZeroDivisionError:
        error = sys.exc_info()
    record = logging.makeLogRecord(
        {"name": "a.logger", "levelname": "WARNING", "msg": "Failed: %s", "args": ("a\nb",), "exc_info": error}
        | {"task_id": "7212730d"}
    )
    [line] = JsonFormatter().format(record).splitlines()
    found = json.loads(line)
    assert found.pop("timestamp").endswith("Z")
    assert "Traceback" in found.pop("exception")
    assert found == {"level": "WARNING", "message": "Failed: a\nb", "logger": "a.logger", "task_id": "7212730d"}
