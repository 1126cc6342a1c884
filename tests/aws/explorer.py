"""Explores the interleavings of a few actors over the services that they share, with a bound on preemptions.

Explored: every order of the calls that the actors make (a call of a client is one step, and takes effect at once), with
at most so many preemptions, that is switches away from an actor that could go on; and, at any moment and at no cost,
every step that a service takes by itself. The search is stateless: it replays a prefix of decisions on a new model and
then takes another one; depth-first, with one preemption more only when all is done with fewer. A state that was
continued before, with as many preemptions left, is not continued again: an actor is determined by what its calls
returned and by the times that it read.

Not explored: schedules with more preemptions; what happens within one call of a service; a process that dies or a
response that is lost, unless the model has a fault for it (test_crash_points.py covers those, one process at a time);
code that runs in threads or awaits anything. Every actor needs objects of its own above the clients, as each Lambda
environment has: state that actors share in memory is not part of the compared state.

Actors are greenlets (greenlet is in requirements/dev.txt by way of playwright): a switch costs about a microsecond, and
the real code needs no change.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from greenlet import greenlet  # type: ignore[import-untyped]  # it has no types

_END: Final = "end"


class ReplayError(AssertionError):
    """A prefix of decisions led elsewhere than before: the model, or the code under test, is not deterministic."""


class Actor:
    """A function that runs up to its next call of a client, one step at a time."""

    def __init__(self, name: str, body: Callable[[], None]) -> None:
        self.name = name
        self.history = 0
        """Digest of all that the actor has observed."""
        self.is_done = False
        """Whether the function has returned."""
        self._call = ""
        self._greenlet = greenlet(body)
        self._is_started = False

    def step(self) -> str:
        """Make the call that the actor is about to make, run it up to the next one, and return the call's name."""
        if not self._is_started:
            self._is_started = True
            self._resume()
        call = self._call
        if not self.is_done:
            self._resume()
        return call

    def _resume(self) -> None:
        self._greenlet.switch()
        self.is_done = bool(self._greenlet.dead)

    def pause(self, call: str) -> None:
        """End the step; the actor calls this itself, before each call."""
        self._call = call
        self._greenlet.parent.switch()

    def close(self) -> None:
        """End the function where it is."""
        if self._is_started and not self.is_done:
            self._greenlet.throw()


class Scheduler:
    """The actors of one model, and which of them runs."""

    def __init__(self) -> None:
        self.actors: dict[str, Actor] = {}
        self._running: Actor | None = None

    def spawn(self, name: str, body: Callable[[], None]) -> None:
        """Add an actor; its function starts with its first step."""
        assert name not in self.actors
        self.actors[name] = Actor(name, body)

    def pause(self, call: str) -> None:
        """Let others take steps before a call; without effect outside of an actor."""
        if self._running is not None:
            self._running.pause(call)
            self.observe(call)

    def observe(self, value: Hashable) -> None:
        """Note what the running actor learned: from now on it may behave differently."""
        if self._running is not None:
            self._running.history = hash((self._running.history, value))

    def step(self, actor: Actor) -> str:
        """Let an actor take a step, and return the name of its call."""
        self._running = actor
        try:
            return actor.step()
        finally:
            self._running = None

    def live(self) -> list[str]:
        """Return the actors that have not returned yet."""
        return [actor.name for actor in self.actors.values() if not actor.is_done]

    def state(self) -> Hashable:
        """Return what determines how the actors go on."""
        return frozenset((actor.name, actor.history, actor.is_done) for actor in self.actors.values())

    def close(self) -> None:
        """End all actors where they are."""
        for actor in self.actors.values():
            actor.close()


class Model(Protocol):
    """Actors over services, at the beginning of a schedule."""

    scheduler: Scheduler

    def steps(self) -> list[str]:
        """Return the steps that the services can take by themselves now, each under a name of its own."""

    def optional_steps(self) -> list[str]:
        """Return those of the steps that may also never be taken."""

    def take(self, step: str) -> None:
        """Take one of the steps."""

    def state(self) -> Hashable:
        """Return the whole state of the services, and all else that the checks look at."""

    def violations(self) -> Iterator[str]:
        """Let everything come to rest, and yield a sentence for each guarantee that does not hold."""


@dataclass
class Report:
    """What an exploration found."""

    schedules: int = 0
    """Schedules that were run, up to their end or into a state that was known."""
    ended: int = 0
    """Those that were run up to their end."""
    violations: Counter[str] = field(default_factory=Counter)
    """In how many schedules each was found."""
    traces: dict[str, list[str]] = field(default_factory=dict)
    """The shortest schedule for each."""
    is_complete: bool = True
    """Whether the bound on preemptions was the only one."""

    def add(self, violation: str, trace: list[str]) -> None:
        """Count a violation, and keep its schedule if it is the shortest."""
        self.violations[violation] += 1
        known = self.traces.get(violation)
        if known is None or len(trace) < len(known):
            self.traces[violation] = trace

    def __str__(self) -> str:
        """Return the violations, each with its shortest schedule."""
        lines = [f"{self.schedules} schedules, {self.ended} to their end"]
        for violation, count in self.violations.items():
            lines += [f"{count} x {violation}", *(f"    {step}" for step in self.traces[violation])]
        return "\n".join(lines)


def explore(
    make: Callable[[], Model],
    *,
    preemptions: int,
    limit: int = 1_000_000,
    stop_at_first: bool = False,
    merge: bool = True,
) -> Report:
    """Run all schedules with at most so many preemptions, each on a new model, and check each at its end.

    `merge=False` continues known states as well: slower by far, and only good for a check of the explorer.
    """
    search = _Search(preemptions, merge=merge)
    while search.has_more():
        if search.report.schedules == limit or (stop_at_first and search.report.violations):
            search.report.is_complete = False
            break
        model = make()
        try:
            search.run(model, search.next())
        finally:
            model.scheduler.close()
    return search.report


@dataclass(frozen=True)
class _Branch:
    """Decisions to replay, the state to which they have to lead, and what to try next."""

    prefix: tuple[str, ...] = ()
    key: int | None = None
    choice: str | None = None


class _Search:
    """The state of a depth-first search: what is still to be tried, and what is known."""

    def __init__(self, preemptions: int, *, merge: bool) -> None:
        self.report = Report()
        self._pending: list[list[_Branch]] = [[_Branch()], *([] for _ in range(preemptions))]  # by preemptions used
        self._preemptions = preemptions
        self._merge = merge
        self._continued: dict[int, int] = {}
        self._checked: dict[int, list[str]] = {}

    def has_more(self) -> bool:
        """Tell whether a branch is left."""
        return any(self._pending)

    def next(self) -> _Branch:
        """Return the next branch: in this order a state is mostly met first with the most preemptions left."""
        return next(branches for branches in self._pending if branches).pop()

    def run(self, model: Model, branch: _Branch) -> None:
        """Replay a prefix, then go on with the first option each time, and leave the others for later."""
        self.report.schedules += 1
        run = _Run(model, self._preemptions)
        for choice in branch.prefix:
            run.take(choice)
        if branch.choice is not None:
            if run.key() != branch.key:
                raise ReplayError("\n".join(run.trace))
            run.take(branch.choice)
        while not run.is_over and (options := run.options()) != [_END]:
            key = run.key()
            if self._is_known(key, run.left):
                return
            taken = tuple(run.taken)
            for other in options[:0:-1]:
                self._pending[self._preemptions - run.left + run.cost(other)].append(_Branch(taken, key, other))
            run.take(options[0])
        self._check(run)

    def _is_known(self, key: int, left: int) -> bool:
        """Tell whether a state was continued before with as many preemptions left, and note that it is now."""
        if self._merge and self._continued.get(key, -1) >= left:
            return True
        self._continued[key] = left
        return False

    def _check(self, run: "_Run") -> None:
        self.report.ended += 1
        key = run.key()
        if key not in self._checked:
            self._checked[key] = list(run.model.violations())
        for violation in self._checked[key]:
            self.report.add(violation, run.trace)


class _Run:
    """One schedule: the decisions so far, and where they led."""

    def __init__(self, model: Model, preemptions: int) -> None:
        self.model = model
        self.left = preemptions
        self.taken: list[str] = []
        self.trace: list[str] = []
        self.is_over = False
        self._current: Actor | None = None

    def options(self) -> list[str]:
        """Return what may happen next: the current actor goes on, a service takes a step, another actor goes on."""
        live = self.model.scheduler.live()
        if not live:
            return [_END, *self.model.optional_steps()]
        options = [name for name in live if name == self._going_on()]
        options += self.model.steps()
        return options + [name for name in live if name not in options and self.cost(name) <= self.left]

    def cost(self, choice: str) -> int:
        """Return how many preemptions a choice takes."""
        return int(choice in self.model.scheduler.actors and self._going_on() not in {None, choice})

    def take(self, choice: str) -> None:
        """Do what was chosen."""
        self.taken.append(choice)
        if choice == _END:
            self.is_over = True
        elif (actor := self.model.scheduler.actors.get(choice)) is None:
            self.model.take(choice)
            self.trace.append(f"    {choice}")
        else:
            self._step(actor)

    def key(self) -> int:
        """Return a digest of all that determines how the schedule may go on."""
        return hash((self.model.state(), self.model.scheduler.state(), self._going_on()))

    def _going_on(self) -> str | None:
        """Return the actor that a step of another one would preempt."""
        return None if self._current is None or self._current.is_done else self._current.name

    def _step(self, actor: Actor) -> None:
        self.left -= self.cost(actor.name)
        self._current = actor
        try:
            self.trace.append(f"{actor.name}: {self.model.scheduler.step(actor)}")
        except Exception as error:
            error.add_note("\n".join(["Schedule:", *self.trace, actor.name]))
            raise
