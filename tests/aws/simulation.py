"""The AWS engine over services in memory: a model for the explorer, and the guarantees that hold in every schedule."""

from collections.abc import Callable, Coroutine, Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError

from task_scheduler import timestamps
from task_scheduler.aws import schema
from task_scheduler.aws.engine import AwsEngine
from task_scheduler.aws.event_log import EventLog
from task_scheduler.aws.executions import ExecutionTimer
from task_scheduler.aws.recorder import Emission, Recorder
from task_scheduler.aws.sweeper import Sweeper
from task_scheduler.aws.task_store import TaskStore
from task_scheduler.engine import EngineError, IdempotencyKey, TaskNotFoundError, TaskQuery, UnavailableError
from task_scheduler.metrics import NullMetrics
from task_scheduler.task import Status, Task, changed_task, new_task, read_payload
from tests.aws.explorer import Scheduler
from tests.support.memory_dynamodb import MemoryDynamoDB, refused
from tests.support.memory_step_functions import MACHINE, MemoryStepFunctions, Message, StopOfEnded
from tests.support.world import SCHEMAS, START_MS, run

_SWEEP_MS: Final = 45_000
_LONGEST_REST: Final = 150  # minutes, with a sweep in each: the sweeper pauses for an hour at most


@dataclass(frozen=True)
class Response:
    """What the client of a request got."""

    request: str
    status: int
    task: Task | None = None


class Clock:
    """The one clock of a simulation; whoever reads it may act on it."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.ms = START_MS
        self._scheduler = scheduler

    def __call__(self) -> int:
        self._scheduler.observe(self.ms)
        return self.ms


class Client:
    """A client of a service, each call of which is a step, and may go wrong as planned."""

    def __init__(self, service: object, scheduler: Scheduler, faults: dict[str, list[str]]) -> None:
        self._service = service
        self._scheduler = scheduler
        self._faults = faults

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._service, name)

        def step(**given: Any) -> Any:  # noqa: ANN401 - as in boto3
            self._scheduler.pause(name)
            try:
                answer = self._meet(name, call, given)
            except (BotoCoreError, ClientError) as error:
                self._scheduler.observe(repr(error))
                raise
            self._scheduler.observe(repr(answer))
            return answer

        return step

    def _meet(self, name: str, call: Callable[..., Any], given: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as in boto3
        planned = self._faults.get(name)
        fault = planned.pop(0) if planned else ""
        if fault == "lost":
            call(**given)
            raise ReadTimeoutError(endpoint_url="")
        if fault:
            raise refused(fault)
        return call(**given)


class Simulation:
    """A model: requests, sweeps, recorders and readers over one account."""

    def __init__(  # noqa: PLR0913 - options of the services
        self,
        *,
        describe_lags: bool = False,
        index_lags: bool = False,
        stop_of_ended: StopOfEnded = StopOfEnded.OLD_DATE,
        history_page: int = 1_000,
        delivers: bool = True,
        is_prompt: bool = True,
    ) -> None:
        self.scheduler = Scheduler()
        self.clock = Clock(self.scheduler)
        self.dynamodb = MemoryDynamoDB(SCHEMAS, index_lags=index_lags)
        self.machine = MemoryStepFunctions(
            lambda: self.clock.ms, describe_lags=describe_lags, stop_of_ended=stop_of_ended, history_page=history_page
        )
        self.faults: dict[str, list[str]] = {}
        """What goes wrong with the next calls of a name: `lost` (it works, then times out), or the code of an error."""
        self.instants: list[int] = []
        """Times to which the clock may advance by itself, soonest first."""
        self.responses: dict[str, list[Response]] = {}
        """By the actors that made the requests."""
        self.accepted: dict[str, Task] = {}
        """Tasks whose schedule returned 200, as they were scheduled."""
        self.broken: list[str] = []
        """Violations that an actor has seen itself."""
        self._delivers = delivers  # whether a message may reach the recorder while the actors run
        self._is_prompt = is_prompt  # whether nothing is lost beforehand, so that all goes out on time
        self._delivered: set[int] = set()
        self._keyed: dict[str, str] = {}
        self._readers: dict[str, list[tuple[int, str]]] = {}
        self._dynamodb = Client(self.dynamodb, self.scheduler, self.faults)
        self._machine = Client(self.machine, self.scheduler, self.faults)

    # The parts of the product: each actor gets its own, as each Lambda environment has its own.

    def task_store(self) -> TaskStore:
        return TaskStore(self._dynamodb, "tasks", retention_days=30, shards=1, sleep=self._sleep)  # type: ignore[arg-type]  # a client in memory

    def log(self) -> EventLog:
        return EventLog(self._dynamodb, "events", "tasks", retention_days=7, now_ms=self.clock)  # type: ignore[arg-type]  # the same

    def timer(self) -> ExecutionTimer:
        return ExecutionTimer(self._machine, MACHINE, sleep=self._sleep)  # type: ignore[arg-type]  # the same

    def engine(self) -> AwsEngine:
        return AwsEngine(
            self.task_store(),
            self.timer(),
            self.log(),
            arming_window_days=1,
            now_ms=self.clock,
            metrics=NullMetrics(),
            sleep=self._sleep,
        )

    def recorder(self) -> Recorder:
        return Recorder(self.task_store(), self.log(), now_ms=self.clock, metrics=NullMetrics())

    def sweeper(self) -> Sweeper:
        return Sweeper(
            self.task_store(), self.timer(), self.recorder(), arming_window_days=1, now_ms=self.clock, threads=1
        )

    # What actors do.

    def new_task(self, due_s: float = 60, *, number: int = 1, tags: Mapping[str, str] | None = None) -> Task:
        """Make a task that is due so many seconds from now."""
        body = {"timestamp": timestamps.format(self.clock.ms + int(due_s * 1000)), "message": "old"}
        return new_task(
            {**body, **({"tags": tags} if tags else {})},
            task_id=f"00000000-0000-4000-8000-{number:012}",
            now_ms=self.clock.ms,
        )

    def schedule(self, task: Task, *, key: str = "", actor: str = "setup") -> Task | None:
        """Schedule a task, and return it as the client gets it."""
        known = IdempotencyKey(key, "fingerprint") if key else None
        kept = self._request(actor, "schedule", self.engine().schedule(task, known))
        if kept is not None:
            self.accepted[kept.id] = kept
            if key and self._keyed.setdefault(key, kept.id) != kept.id:
                self.broken.append("one key, and two tasks")
            if kept.status is Status.CANCELLED:
                self.broken.append("schedule 200, and the task is a cancelled one")
        return kept

    def cancel(self, task_id: str, *, actor: str) -> None:
        self._request(actor, "cancel", self.engine().cancel(task_id))

    def reschedule(self, task_id: str, message: str, *, due_s: float = 90, actor: str) -> None:
        change = {"in": due_s, "message": message}

        def changed(task: Task) -> Task:
            return changed_task(task, change, now_ms=self.clock())

        self._request(actor, "reschedule", self.engine().reschedule(task_id, changed))

    def cancel_tagged(self, name: str, value: str, *, actor: str) -> None:
        """Cancel the tasks of a tag, and note which are cancelled then."""
        run(self.engine().cancel_tagged((name, value)))
        for item in self.dynamodb.items("tasks"):
            if item.get("state") == {"S": Status.CANCELLED}:
                task = run(self.engine().get(item[schema.TASK_ID]["S"]))
                self.responses.setdefault(actor, []).append(Response("cancel", 200, task))

    def sweep(self) -> None:
        """Sweep once; an error of a service ends a sweep, and the next one goes on."""
        with suppress(UnavailableError):
            self.sweeper().sweep(end_ms=self.clock() + _SWEEP_MS)

    def list_open(self, *expected: str) -> None:
        """List the scheduled tasks; those that are expected are open all the time."""
        page = run(self.engine().tasks(TaskQuery(Status.SCHEDULED), limit=50))
        if not {*expected} <= {task.id for task in page.tasks}:
            self.broken.append("a list misses a task that is open all the time")

    def record(self, *numbers: int) -> None:
        """Hand messages to a recorder; what it cannot record comes again later."""
        messages = [self.machine.published[number] for number in numbers]
        recorded = self.recorder().record([Emission(one.text, one.at_ms) for one in messages])
        self._delivered |= {number for number, is_done in zip(numbers, recorded, strict=True) if is_done}

    def follow(self, reader: str, *, times: int = 1) -> None:
        """Read on in the event log where this reader stopped."""
        seen = self._readers.setdefault(reader, [])
        engine = self.engine()
        for _ in range(times):
            for event in run(engine.events(after=seen[-1][0] if seen else 0, limit=100)):
                seen.append((event.sequence, event.task_id))

    def publish(self, task: Task) -> None:
        """Let time pass until a task is published, and the message wait for its delivery."""
        self.clock.ms = max(self.clock.ms, -(-task.due_ms // 1000) * 1000)
        self.machine.run()

    # The model, as the explorer sees it.

    def steps(self) -> list[str]:
        steps = [*self.machine.steps(), *self.dynamodb.steps()]
        if self.instants:
            steps.append(f"the clock advances to {timestamps.format(self.instants[0])}")
        if self._delivers:
            known = self.scheduler.actors
            steps += [f"deliver {n}" for n in range(len(self.machine.published)) if f"recorder {n}" not in known]
        return steps

    def optional_steps(self) -> list[str]:
        return self.machine.late_steps()

    def take(self, step: str) -> None:
        if step.startswith("the clock"):
            self.clock.ms = self.instants.pop(0)
        elif step.startswith("deliver "):
            number = int(step.removeprefix("deliver "))
            self.scheduler.spawn(f"recorder {number}", lambda: self.record(number))
        elif step.startswith("index learns"):
            self.dynamodb.take(step)
        else:
            self.machine.take(step)

    def state(self) -> Hashable:
        return (
            self.clock.ms,
            self.dynamodb.state(),
            self.machine.state(),
            frozenset(self._delivered),
            repr(self.faults),
            repr(self.broken),
        )

    def violations(self) -> Iterator[str]:
        """Let everything come to rest, and yield a sentence for each guarantee that does not hold."""
        yield from dict.fromkeys(self.broken)
        if self.machine.overlaps:
            yield "two live executions of one task"
        by_due = self._publish_what_is_due()
        self._rest()
        for task_id in self.accepted:
            yield from self._outcome(task_id, by_due).violations()
        yield from self._violations_of_log()

    def _outcome(self, task_id: str, by_due: Sequence[Message]) -> "_Outcome":
        given = [one for responses in self.responses.values() for one in responses]
        return _Outcome(
            task=run(self.engine().get(task_id)),
            responses=frozenset(
                (one.request, one.status) for one in given if one.task is None or one.task.id == task_id
            ),
            published=[one for one in self.machine.published if one.task_id == task_id],
            by_due=[one for one in by_due if one.task_id == task_id],
            is_prompt=self._is_prompt,
        )

    def _violations_of_log(self) -> Iterator[str]:
        self.follow("checker", times=5)
        logged = self._readers["checker"]
        if sorted(task_id for _, task_id in logged) != sorted({one.task_id for one in self.machine.published}):
            yield "the event log does not have each published task once"
        for reader in self._readers:
            self.follow(reader, times=5)
        if any(seen != logged for seen in self._readers.values()):
            yield "a reader that followed the event log missed an event"

    def _publish_what_is_due(self) -> list[Message]:
        """Let time pass until what is scheduled is due, without sweeps, and return all messages by then."""
        self._settle()
        for task_id in self.accepted:
            self.publish(run(self.engine().get(task_id)))
        return [*self.machine.published]

    def _rest(self) -> None:
        """Let time pass, with a sweep a minute, until nothing is left to do."""
        for _ in range(_LONGEST_REST):
            self._settle()
            tasks = [run(self.engine().get(task_id)) for task_id in self.accepted]
            is_open = any(task.status is Status.SCHEDULED for task in tasks)
            if not is_open and self.machine.is_idle() and len(self._delivered) == len(self.machine.published):
                break
            self.clock.ms += 60_000
            self._settle()
            self.sweep()
        self.clock.ms += 180_000  # readers seal numbers that were reserved more than a minute or two ago

    def _settle(self) -> None:
        """Let the services catch up."""
        self.machine.run()
        while steps := self.dynamodb.steps():
            self.dynamodb.take(steps[0])
        if left := [number for number in range(len(self.machine.published)) if number not in self._delivered]:
            self.record(*left)

    def _request(self, actor: str, request: str, call: Coroutine[Any, Any, Task]) -> Task | None:
        """Make a request, and note the response that its client gets."""
        task = None
        try:
            task = run(call)
            status = 200
        except TaskNotFoundError:
            status = 404
        except UnavailableError:
            status = 503
        except EngineError:
            status = 409
        self.responses.setdefault(actor, []).append(Response(request, status, task))
        return task

    def _sleep(self, seconds: float) -> None:
        """Let others go on; in a pause of a second or more, the clock advances and the indexes catch up."""
        self.scheduler.pause(f"sleep {seconds}")
        if seconds >= 1:
            self.clock.ms += int(seconds * 1000)
            while steps := self.dynamodb.steps():
                self.dynamodb.take(steps[0])


@dataclass(frozen=True)
class _Outcome:
    """What became of a task in the end, and what its clients were told."""

    task: Task
    responses: frozenset[tuple[str, int]]
    published: Sequence[Message]
    by_due: Sequence[Message]
    """Those that were published when the task was due, without a sweep."""
    is_prompt: bool

    def violations(self) -> Iterator[str]:
        """Yield a sentence for each guarantee that does not hold for the task."""
        if ("cancel", 200) in self.responses:
            yield from self._of_cancelled()
        else:
            yield from self._of_kept()
        if ("reschedule", 200) in self.responses and "old" in _texts(self.published):
            yield "reschedule 200, and the old message was published"
        if (self.task.status is Status.EMITTED) != bool(self.published):
            yield f"published {len(self.published)} times, and shown as {self.task.status}"
        if any(timestamps.parse(read_payload(one.text)["timestamp"]) > one.at_ms for one in self.published):
            yield "published early"

    def _of_cancelled(self) -> Iterator[str]:
        if self.published:
            yield "cancel 200, and the message was published"

    def _of_kept(self) -> Iterator[str]:
        wanted = read_payload(self.task.payload)["message"]
        if any(status == 503 for _, status in self.responses):
            yield "503, and no service had failed"
        elif self.task.status is Status.CANCELLED:
            yield "cancelled, and no client was told so"
        elif wanted not in _texts(self.published):
            yield "accepted, and never published"
        elif wanted not in _texts(self.by_due):
            if any(status == 409 for _, status in self.responses):
                yield "409, and the message was delayed"
            elif self.is_prompt:
                yield "published late"


def _texts(messages: Sequence[Message]) -> list[str]:
    return [read_payload(one.text)["message"] for one in messages]
