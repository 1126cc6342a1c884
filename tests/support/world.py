"""A small AWS for the engine to live in: DynamoDB and Step Functions in memory, and faults on demand."""

from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, TypeVar

from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.model import ServiceModel
from botocore.session import get_session
from botocore.validate import ParamValidator

from task_scheduler import timestamps
from task_scheduler.aws import schema
from task_scheduler.aws.engine import AwsEngine
from task_scheduler.aws.event_log import EventLog
from task_scheduler.aws.executions import ExecutionTimer
from task_scheduler.aws.recorder import Emission, Recorder
from task_scheduler.aws.sweeper import Sweep, Sweeper
from task_scheduler.aws.task_store import SHARDS, TaskStore
from task_scheduler.task import Event, Task, new_task
from tests.support.memory_dynamodb import MemoryDynamoDB, Schema
from tests.support.memory_step_functions import MACHINE, MemoryStepFunctions
from tests.support.observations import Observations

START_MS: Final = timestamps.parse("2026-11-21T09:00:00Z")
SCHEMAS: Final = {
    "tasks": Schema((schema.TASK_ID,), {schema.BY_DUE: (schema.BUCKET, schema.DUE_ID)}),
    "events": Schema((schema.PAGE, schema.SEQUENCE)),
}
_Returned = TypeVar("_Returned")


@dataclass
class Clock:
    """The one clock of a world."""

    ms: int = START_MS

    def __call__(self) -> int:
        return self.ms

    def sleep(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


class CrashError(BaseException):
    """The process died; nothing may catch it."""


@dataclass
class Faults:
    """What happens to the next calls: a table from the name of a call to what it meets, the soonest first."""

    planned: dict[str, list[str]] = field(default_factory=dict)
    countdown: int = 0
    """Calls of any name until one that goes wrong; 0: none does."""
    kind: str = "fine"
    """What that one meets."""
    delays: dict[str, float] = field(default_factory=dict)
    """Seconds that each call of a name takes."""
    calls: Counter[str] = field(default_factory=Counter)
    items: Counter[str] = field(default_factory=Counter)
    """Items that were read by calls of a name."""
    special: dict[str, Callable[[str, Callable[..., Any], dict[str, Any]], Any]] = field(default_factory=dict)
    """What does the kinds of fault that only some tests know, with the name of the call, the call, what is given."""

    def plan(self, call: str, *kinds: str) -> None:
        """Make the next calls of a name throttled, lost (worked, then timed out), repeated, crash, or fine."""
        self.planned[call] = list(kinds)

    def plan_nth(self, number: int, kind: str) -> None:
        """Make the call of this number from now on go wrong, whatever its name, but for looks into the index."""
        self.countdown, self.kind = number, kind

    def next(self, call: str) -> str:
        """Return what this call meets."""
        kinds = self.planned.get(call)
        if kinds:
            return kinds.pop(0)
        self.countdown -= call != "query"
        return self.kind if self.countdown == 0 and call != "query" else "fine"


class Faulty:
    """A client whose calls are counted and go wrong as planned."""

    def __init__(self, client: Any, faults: Faults, clock: Clock) -> None:  # noqa: ANN401 - any client
        self._client = client
        self._clock = clock
        self._faults = faults

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._client, name)

        def meet(**parameters: Any) -> Any:  # noqa: ANN401 - as in boto3
            validate(name, parameters)
            self._faults.calls[name] += 1
            self._clock.sleep(self._faults.delays.get(name, 0))
            match self._faults.next(name):
                case "conflict":
                    raise refusal("TransactionConflictException", name)
                case "throttled":
                    raise refusal("ThrottlingException", name)
                case "crash":
                    raise CrashError(name)
                case "lost":
                    call(**parameters)
                    raise ReadTimeoutError(endpoint_url="")
                case "repeated":
                    call(**parameters)
                case kind if kind in self._faults.special:
                    return self._faults.special[kind](name, call, parameters)
            answer = call(**parameters)
            pages = answer.get("Responses", {}).values() if isinstance(answer, dict) else ()
            self._faults.items[name] += len(answer.get("Items", ())) + sum(map(len, pages))
            return answer

        return meet


@cache
def _shape(method: str) -> tuple[Any, ParamValidator]:
    """Return what the model of the service says about the parameters of a call."""
    operation = "".join(part.capitalize() for part in method.split("_"))
    loader = get_session().get_component("data_loader")
    for service in ("dynamodb", "stepfunctions"):
        model = ServiceModel(loader.load_service_model(service, "service-2"), service)
        if operation in model.operation_names:
            return model.operation_model(operation).input_shape, ParamValidator()
    raise AssertionError(method)


def validate(method: str, parameters: Mapping[str, Any]) -> None:
    """Check the parameters of a call as boto3 does, which the product's own clients leave out."""
    shape, validator = _shape(method)
    report = validator.validate(parameters, shape)
    assert not report.has_errors(), report.generate_report()


class World:
    """The engine, the recorder and the sweeper over one account."""

    def __init__(
        self,
        dynamodb: Any,  # noqa: ANN401 - moto's client
        *,
        arming_window_days: float = 360,
        shards: int = SHARDS,
        faults: Faults | None = None,
    ) -> None:
        self.dynamodb = dynamodb
        self.clock = Clock()
        self.faults = Faults() if faults is None else faults
        self.observed = Observations()
        self.machine = MemoryStepFunctions(self.clock)
        tables = Faulty(dynamodb, self.faults, self.clock)
        self.task_store = TaskStore(tables, "tasks", retention_days=30, shards=shards, sleep=self.clock.sleep)  # type: ignore[arg-type]  # a faulty client
        self.log = EventLog(tables, "events", "tasks", retention_days=7, now_ms=self.clock)  # type: ignore[arg-type]  # the same
        timer = ExecutionTimer(Faulty(self.machine, self.faults, self.clock), MACHINE, sleep=self.clock.sleep)  # type: ignore[arg-type]  # the same
        self.engine = AwsEngine(
            self.task_store,
            timer,
            self.log,
            arming_window_days=arming_window_days,
            now_ms=self.clock,
            metrics=self.observed,
            sleep=self.clock.sleep,
        )
        self.recorder = Recorder(self.task_store, self.log, now_ms=self.clock, metrics=self.observed)
        self.sweeper = Sweeper(
            self.task_store, timer, self.recorder, arming_window_days=arming_window_days, now_ms=self.clock, threads=1
        )
        self._delivered = 0

    @property
    def published(self) -> list[tuple[int, str]]:
        """When each message was published, and its text."""
        return [(message.at_ms, message.text) for message in self.machine.published]

    def new_task(self, due_s: float = 60, number: int = 1, tags: Mapping[str, str] | None = None) -> Task:
        """Make a task that is due so many seconds from now."""
        due = timestamps.format(self.clock.ms + int(due_s * 1000))
        body = {"timestamp": due, "message": number, **({"tags": tags} if tags else {})}
        return new_task(body, task_id=f"00000000-0000-4000-8000-{number:012}", now_ms=self.clock.ms)

    def advance(self, seconds: float) -> None:
        """Let time pass, let timers fire, and hand what they published to the recorder."""
        self.clock.sleep(seconds)
        self.machine.run()
        self.deliver()

    def expire(self) -> None:
        """Delete what has expired, as DynamoDB does, though not always at once."""
        for table, shape in SCHEMAS.items():
            for item in self.dynamodb.items(table):
                if schema.EXPIRES_AT in item and int(item[schema.EXPIRES_AT]["N"]) * 1000 < self.clock.ms:
                    self.dynamodb.delete_item(TableName=table, Key={key: item[key] for key in shape.keys})

    def deliver(self) -> None:
        """Hand to the recorder what was published since the last time; what it cannot record comes again."""
        emissions = [Emission(event, ms) for ms, event in self.published[self._delivered :]]
        if emissions and all(self.recorder.record(emissions)):
            self._delivered += len(emissions)

    def sweep(self) -> Sweep:
        """Run the sweeper, with the time that its function gives it."""
        return self.sweeper.sweep(end_ms=self.clock.ms + 45_000)

    def minutes(self, count: int, *, step: int = 1) -> None:
        """Let minutes pass, with a sweep after each, or after every few."""
        for _ in range(0, count, step):
            self.advance(60 * step)
            self.sweep()
            self.machine.run()
            self.deliver()

    def logged(self) -> list[Event]:
        """Return the whole event log, as a reader finds it once all gaps are old."""
        self.clock.sleep(6)
        found: list[Event] = []
        while page := self.log.events(after=found[-1].sequence if found else 0, limit=1000):
            found += page
        return found


def refusal(code: str, operation: str) -> ClientError:
    """Return the error that a service answers with."""
    return ClientError({"Error": {"Code": code, "Message": code}}, operation)


@contextmanager
def tables() -> Iterator[Any]:
    """Return a client of both tables, empty, with the keys that the stack gives them."""
    yield MemoryDynamoDB(SCHEMAS)


def run(call: Coroutine[Any, Any, _Returned]) -> _Returned:
    """Make a call of the engine, which blocks and never awaits; as lambdas do it, without an event loop."""
    try:
        call.send(None)
    except StopIteration as stop:
        returned: _Returned = stop.value
        return returned
    raise AssertionError("the call awaits something")


def ids(world: World) -> list[str]:
    """Return the tasks in the event log, in its order."""
    return [event.task_id for event in world.logged()]
