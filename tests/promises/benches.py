"""Both engines on a bench: the same calls, a clock set by hand, and faults where an engine has calls that can fail."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from task_scheduler.local.engine import LocalEngine
from task_scheduler.metrics import NullMetrics
from task_scheduler.task import Event
from tests.support.world import Clock, World, tables

if TYPE_CHECKING:
    from task_scheduler.engine import Engine


class AwsBench:
    """The AWS engine over an account in memory."""

    faults: tuple[str, ...] = (  # names of the calls that can be made to fail
        "put_item",
        "get_item",
        "update_item",
        "query",
        "batch_get_item",
        "transact_write_items",
        "start_execution",
        "stop_execution",
        "describe_execution",
        "get_execution_history",
    )

    def __init__(self) -> None:
        with tables() as client:
            self._world = World(client, arming_window_days=1, shards=2)
        self.engine: Engine = self._world.engine
        self.clock = self._world.clock

    def run(self, call: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - what the call returns
        """Make a call of the engine."""
        return asyncio.run(call)

    def plan(self, call: str, kind: str) -> None:
        """Make the next call of a name go wrong."""
        self._world.faults.plan(call, kind)

    def advance(self, seconds: float) -> None:
        """Let time pass, and let what is due happen."""
        self._world.advance(seconds)

    def restart(self) -> None:
        """Lose all timers: there is no process whose end matters, but executions can die."""
        self._world.machine.lose()

    def settle(self) -> None:
        """Repair all that is broken, and let time pass until nothing is left to do."""
        self._world.faults.planned.clear()
        self._world.minutes(3)
        self._world.minutes(3 * 24 * 60, step=24 * 60)  # what was parked, and what was put off
        self._world.minutes(3)

    def emitted(self) -> list[tuple[int, str]]:
        """Return every event that went out, and when, repetitions too."""
        return self._world.published

    def logged(self) -> list[Event]:
        """Return the event log."""
        return self._world.logged()

    def close(self) -> None:
        """There is nothing to close."""


class LocalBench:
    """The local engine over a file."""

    faults: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="promises-")
        self._path = Path(self._folder.name) / "tasks.db"
        self._log: list[Event] = []
        self.clock = Clock()
        self._runner = asyncio.Runner()
        self._open()

    def _open(self) -> None:
        self._local = LocalEngine(self._path, now_ms=self.clock, metrics=NullMetrics())
        self.engine: Engine = self._local
        self.run(self._local.__aenter__())

    def run(self, call: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - what the call returns
        return self._runner.run(call)

    def plan(self, call: str, kind: str) -> None:
        raise AssertionError(f"{call} cannot be {kind}")

    def advance(self, seconds: float) -> None:
        self.clock.sleep(seconds)
        self.run(self._local.run_due())
        self.logged()

    def restart(self) -> None:
        self.run(self._local.__aexit__(None, None, None))
        self._open()

    def settle(self) -> None:
        self.advance(2 * 86_400)

    def emitted(self) -> list[tuple[int, str]]:
        return [(event.emitted_ms, event.payload) for event in self.logged()]

    def logged(self) -> list[Event]:
        """Read on before events expire, which they do while this clock jumps."""
        self._log += self.run(self.engine.events(after=self._log[-1].sequence if self._log else 0, limit=1000))
        return self._log

    def close(self) -> None:
        self.run(self._local.__aexit__(None, None, None))
        self._runner.close()
        self._folder.cleanup()


Bench = AwsBench | LocalBench
