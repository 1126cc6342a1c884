"""The log of the local server: one JSON object a line."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from task_scheduler.local.logs import JsonFormatter


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger, and what it has written."""
    logger = logging.getLogger("tests.of.the.log")
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger.addHandler(handler)
    logger.propagate = False
    yield logger, stream
    logger.removeHandler(handler)


def test_a_line_has_time_level_message_logger_and_whatever_was_added(
    log: tuple[logging.Logger, io.StringIO],
) -> None:
    logger, stream = log
    logger.warning("It did not work: %s", "a\nb", extra={"task_id": "7212730d"})
    [line] = stream.getvalue().splitlines()
    found = json.loads(line)
    assert found.pop("timestamp").endswith("Z")
    assert found == {
        "level": "WARNING",
        "message": "It did not work: a\nb",
        "logger": "tests.of.the.log",
        "task_id": "7212730d",
    }


def test_an_error_is_one_line_too(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = log
    try:
        1 / 0  # noqa: B018 - to raise
    except ZeroDivisionError:
        logger.exception("Nobody can do this")
    [line] = stream.getvalue().splitlines()
    assert "Traceback" in json.loads(line)["exception"]
