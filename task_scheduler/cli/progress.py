"""How far a long command is: a bar in a terminal, on standard error; elsewhere nothing but what has to be said."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from task_scheduler.cli.output import printable


class Bar:
    """One bar; without a total it only moves."""

    def __init__(self, title: str, total: int | None, *, hidden: bool = False) -> None:
        console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            *([TaskProgressColumn()] if total is not None else []),
            TextColumn("{task.fields[count]:,} tasks"),
            TimeElapsedColumn(),
        )
        self._progress = Progress(*columns, console=console, disable=hidden or not console.is_terminal)
        self._task = self._progress.add_task(title, total=total, count=0)

    def __enter__(self) -> Self:
        """Show the bar."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bar as it is."""
        self._progress.stop()

    def show(self, count: int, completed: int = 0) -> None:
        """Show so many tasks, and how much of the total they are."""
        self._progress.update(self._task, count=count, completed=completed)

    def say(self, sentence: str) -> None:
        """Write a line above the bar."""
        self._progress.console.print(Text(printable(sentence)), soft_wrap=True)
