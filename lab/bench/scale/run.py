"""What a simulation moves, what holds it up, and what came of it."""

from dataclasses import dataclass, field


class Bucket:
    """Tokens that come by the second up to a burst; who finds any takes what it needs, and leaves a debt."""

    def __init__(self, rate: float, burst: float | None = None, *, step: int = 1) -> None:
        self._rate = rate * step
        self._most = max(rate if burst is None else burst, self._rate)
        self.tokens = self._most

    def refill(self) -> None:
        """Let the tokens of one step come."""
        self.tokens = min(self._most, self.tokens + self._rate)

    def take(self, count: float) -> bool:
        """Take tokens if there are any; tell whether there were."""
        if self.tokens <= 0:
            return False
        self.tokens -= count
        return True


@dataclass(slots=True, eq=False)
class Grain:
    """Tasks that share their fate."""

    due: int
    tries: int = 0
    published: int | None = None
    recorded: int | None = None


@dataclass
class Run:
    """What came of it."""

    grain: int
    step: int
    offered: int = 0
    refused: int = 0
    """Told 429 or 503 at the door: not accepted."""
    published: list[int] = field(default_factory=list)
    """How late each grain went out, in seconds; of one that should have and did not, how late it is at the end."""
    recorded: list[int] = field(default_factory=list)
    """How late each grain was in the event log; the same."""
    emitted: int = 0
    waiting: int = 0
    """Grains that are not published at the end: offered = refused + emitted + waiting."""
    overdue: int = 0
    """Of those, the ones that should have been."""
    ever_parked: int = 0
    first: dict[str, int] = field(default_factory=dict)
    """When each limit was met for the first time, in the order in which they were."""
    open: list[int] = field(default_factory=list)
    parked: list[int] = field(default_factory=list)
    behind: list[int] = field(default_factory=list)
    """Tasks that wait for the recorder, after each step, as the two above: open executions and parked tasks."""
    late: list[tuple[int, int]] = field(default_factory=list)
    """When a grain was due, and how late it went out."""
