"""What stands behind the question mark of a list's address, and the cursor that it hands out."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Final

from task_scheduler import timestamps
from task_scheduler.api.errors import BadRequestError
from task_scheduler.contract import MAX_PAGE
from task_scheduler.engine import Cursor, TaskQuery
from task_scheduler.task import Status, is_task_id, mistakes_in_tags

_MAX_CURSOR: Final = 200  # characters
_MAX_NUMBER: Final = 2**63 - 1
_MOST_UNKNOWN: Final = 8  # that are named: a request has room for thousands


class Query:
    """The parameters of one request; every wrong one adds a sentence, and check() raises them all."""

    def __init__(self, parameters: Mapping[str, str], repeated: Sequence[str] = ()) -> None:
        self._parameters = parameters
        self._errors = [f"{name[:80]} is given more than once; give it once." for name in repeated[:_MOST_UNKNOWN]]
        self._known: list[str] = []

    def check(self) -> None:
        """Raise BadRequestError if anything is wrong, including a parameter that no code has read.

        Without that, a list with a misspelt filter would show everything.
        """
        unknown = [name for name in self._parameters if name not in self._known]
        known = ", ".join(self._known)
        errors = [f"Unknown query parameter {name[:80]!r}. Allowed: {known}." for name in unknown[:_MOST_UNKNOWN]]
        if self._errors or errors:
            raise BadRequestError(*self._errors, *errors)

    def integer(self, name: str, *, minimum: int = 0, maximum: int = _MAX_NUMBER) -> int | None:
        """Return a whole number, None where it is not given."""
        return self.number(name, self._given(name), minimum=minimum, maximum=maximum)

    def number(self, name: str, text: str | None, *, minimum: int = 0, maximum: int = _MAX_NUMBER) -> int | None:
        """Return the whole number in a text that may have come by another way, None where there is none."""
        if text is None:
            return None
        if text.isascii() and text.isdigit() and len(text) <= len(str(maximum)) and minimum <= int(text) <= maximum:
            return int(text)
        self._errors.append(f"{name} must be a whole number from {minimum} to {maximum}.")
        return None

    def limit(self, default: int) -> int:
        """Return how many entries a page may have."""
        found = self.integer("limit", minimum=1, maximum=MAX_PAGE)
        return default if found is None else found

    def tasks(self) -> TaskQuery:
        """Return which tasks to list."""
        return TaskQuery(
            status=self._status(),
            from_ms=self._time("from"),
            to_ms=self._time("to"),
            tag=self._tag(),
            after=self._cursor(),
        )

    def _given(self, name: str) -> str | None:
        self._known.append(name)
        return self._parameters.get(name)

    def _status(self) -> Status | None:
        text = self._given("status")
        if text is None or text in set(Status):
            return None if text is None else Status(text)
        self._errors.append(f"status must be one of {', '.join(Status)}.")
        return None

    def _time(self, name: str) -> int | None:
        text = self._given(name)
        if text is None:
            return None
        try:
            # In a query, the plus of an offset that was not escaped has become a space.
            return timestamps.parse(text.replace(" ", "+") if "T" in text else text)
        except ValueError as error:
            self._errors.append(f"{name} {error}.")
            return None

    def _tag(self) -> tuple[str, str] | None:
        text = self._given("tag")
        if text is None:
            return None
        name, colon, value = text.partition(":")
        if colon and not mistakes_in_tags({name: value}):
            return name, value
        self._errors.append("tag must be the name and the value of a tag with a colon between them, such as user:42.")
        return None

    def _cursor(self) -> Cursor | None:
        text = self._given("cursor")
        if text is None:
            return None
        try:
            due_ms, task_id = json.loads(base64.urlsafe_b64decode(text[:_MAX_CURSOR].encode()))
            if isinstance(due_ms, int) and abs(due_ms) <= _MAX_NUMBER and is_task_id(task_id):
                return Cursor(due_ms, task_id)
        except (ValueError, TypeError):
            pass
        self._errors.append("cursor must be one that a page of this list gave out.")
        return None


def cursor(position: Cursor | None) -> str | None:
    """Return a cursor as an opaque text."""
    if position is None:
        return None
    return base64.urlsafe_b64encode(json.dumps([position.due_ms, position.task_id]).encode()).decode()
