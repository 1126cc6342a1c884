"""Cancelling by a tag takes as many requests as the service says: what is asked next, and when to stop. No I/O."""

from typing import Final

from task_scheduler.client import requests
from task_scheduler.client.errors import UnexpectedResponseError
from task_scheduler.client.models import TagCancellation
from task_scheduler.client.requests import Call

_FRUITLESS: Final = 3


class TagSweep:
    """One sweep over all tasks with a tag."""

    def __init__(self, name: str, value: str, url: str) -> None:
        self.cancelled = 0
        self._call = requests.cancel_tagged(name, value)
        self._url = url
        self._more = True
        self._fruitless = 0

    def next(self) -> Call[TagCancellation] | None:
        """Return the next request; None when there is nothing left to cancel.

        Raises UnexpectedResponseError when there is more time and again, and none of it is ever cancelled.
        """
        if self._fruitless == _FRUITLESS:
            raise UnexpectedResponseError(
                f"{self._url} says again and again that more tasks have the tag, and cancels none of them; "
                f"{self.cancelled} were cancelled before."
            )
        return self._call if self._more else None

    def take(self, response: TagCancellation) -> None:
        """Count what one request did."""
        self.cancelled += response.cancelled
        self._more = response.more
        self._fruitless = 0 if response.cancelled else self._fruitless + 1
