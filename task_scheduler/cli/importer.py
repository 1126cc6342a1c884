"""Sends the lines of a file to a service, several at once and in bounded memory."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import BinaryIO, Final

from task_scheduler.cli.jsonl import Keys, Line, NotLinesError, read_lines, read_task
from task_scheduler.client import AsyncClient, BadRequestError, KeyConflictError, TooLargeError

AT_ONCE: Final = 16
RETRIES: Final = 8
"""More than for a person who waits: up to half a minute in which a service may restart or ask for a slower pace."""

Item = Line | OSError | NotLinesError | None


@dataclass(slots=True)
class Tally:
    """What became of the lines so far."""

    imported: int = 0
    refused: int = 0
    end: int = 0
    """How many bytes of the file are done, about."""


class Importer:
    """One import. Whatever stops it, the same lines again make nothing twice."""

    def __init__(
        self, client: AsyncClient, tally: Tally, *, say: Callable[[str], None], show: Callable[[int, int], None]
    ) -> None:
        self.tally = tally
        self._client = client
        self._say = say
        self._show = show
        self._lines: asyncio.Queue[Item] = asyncio.Queue(AT_ONCE)

    async def run(self, source: BinaryIO) -> None:
        """Schedule a task for each line; one that is rejected is reported by `say`.

        Raises what the client raises when it cannot go on, OSError if the file cannot be read, and NotLinesError.
        """
        # A thread of its own, since reading a pipe may take for ever; and one that nobody waits for in the end.
        feeder = threading.Thread(target=self._feed, args=(source, asyncio.get_running_loop()), daemon=True)
        feeder.start()
        try:
            with Keys() as keys:
                async with asyncio.TaskGroup() as group:
                    for _ in range(AT_ONCE):
                        group.create_task(self._work(keys))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _work(self, keys: Keys) -> None:
        while (item := await self._lines.get()) is not None:
            if isinstance(item, OSError | NotLinesError):
                raise item
            try:
                task = read_task(item)
                key = keys.key(task)
                task.pop("id", None)  # the service gives each task one
                await self._client.schedule_body(task, key)
                self.tally.imported += 1
            except (BadRequestError, KeyConflictError, TooLargeError, ValueError) as error:
                self.tally.refused += 1
                self._say(f"Line {item.number}: {error}")
            self.tally.end = max(self.tally.end, item.end)
            self._show(self.tally.imported, self.tally.end)
        await self._lines.put(None)  # for the next worker

    def _feed(self, source: BinaryIO, loop: asyncio.AbstractEventLoop) -> None:
        try:
            with source:
                for line in read_lines(source):
                    self._put(line, loop)
            self._put(None, loop)
        except (OSError, NotLinesError) as error:
            self._put(error, loop)
        except (CancelledError, RuntimeError):  # the loop has ended, and needs no more lines
            return

    def _put(self, item: Item, loop: asyncio.AbstractEventLoop) -> None:
        put = self._lines.put(item)
        try:
            asyncio.run_coroutine_threadsafe(put, loop).result()
        finally:
            put.close()
