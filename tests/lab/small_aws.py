"""A whole deployment in memory, by the clock of its world: the API, timers, the recorder, the sweeper, and faults."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import httpx
from botocore.exceptions import ClientError, ReadTimeoutError

from lab.chaos.aws.driver import AGAIN, AT_ONCE
from lab.chaos.aws.nemesis import Kind, Plan
from lab.support.checker import Verdict, check
from lab.support.client import Client
from lab.support.history import Delivered, Emitted, History, Observations, Seen
from lab.support.observer import read_log, read_tasks
from lab.support.workload import scripts
from task_scheduler.api.apigateway import handler
from task_scheduler.api.app import Api
from task_scheduler.api.routes import Context
from task_scheduler.engine import UnavailableError
from tests.support.gateway import LateApplication
from tests.support.world import CrashError, Faults, World, refusal

_TICK_S: Final = 0.5
_SWEEP_S: Final = 20
_MOST_SWEEPS: Final = 1_000
_SOON_MS: Final = 5_400_000
_PATIENCE_S: Final = 600
_DAY_S: Final = 86_400
_READ_TIMEOUT_S: Final = 3  # task_scheduler.aws.clients

_SAME: Final = {
    Kind.THROTTLED: "throttled",
    Kind.ERROR: "throttled",
    Kind.UNAVAILABLE: "throttled",
    Kind.RESET: "throttled",
    Kind.ERROR_AFTER: "lost",
    Kind.RESET_AFTER: "lost",
    Kind.TRUNCATED: "lost",
    Kind.CRASH: "crash",
}
"""Kinds that are the same to a program whose library does not try again: it did work, or it did not."""


class PlannedFaults(Faults):
    """Faults as a plan has them."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._chaos = plan
        self.special = {
            Kind.CONFLICT: self._conflict,
            Kind.TIMEOUT: self._time_out,
            Kind.TIMEOUT_AFTER: self._time_out_after,
            Kind.LATE: self._be_late,
            Kind.PARTIAL: self._answer_half,
            Kind.CRASH_AFTER: self._crash_after,
        }
        self.sleep: Callable[[float], None] = lambda _seconds: None
        self._late: list[Callable[[], Any]] = []

    def next(self, call: str) -> str:
        """Carry out what is late, before what comes next."""
        late, self._late = self._late, []
        for carry_out in late:
            with suppress(ClientError):
                carry_out()
        kind = self._chaos.next("".join(part.capitalize() for part in call.split("_")))
        return "fine" if kind is None else _SAME.get(kind, kind)

    def _conflict(self, name: str, _call: object, _given: object) -> None:
        error = refusal("TransactionConflictException", name)
        if name == "transact_write_items":
            error = refusal("TransactionCanceledException", name)
            error.response["CancellationReasons"] = [{"Code": "TransactionConflict"}, {"Code": "None"}]
        raise error

    def _time_out(self, _name: str, _call: object, _given: object) -> None:
        self.sleep(_READ_TIMEOUT_S)
        raise ReadTimeoutError(endpoint_url="")

    def _time_out_after(self, name: str, call: Callable[..., Any], given: dict[str, Any]) -> None:
        call(**given)
        self._time_out(name, call, given)

    def _be_late(self, name: str, call: Callable[..., Any], given: dict[str, Any]) -> None:
        self._late.append(lambda: call(**given))
        self._time_out(name, call, given)

    def _answer_half(self, _name: str, call: Callable[..., Any], given: dict[str, Any]) -> Any:  # noqa: ANN401 - as in boto3
        [(table, wanted)] = given["RequestItems"].items()
        answer = call(RequestItems={table: {**wanted, "Keys": wanted["Keys"][::2]}})
        left = wanted["Keys"][1::2]
        return {**answer, "UnprocessedKeys": {table: {**wanted, "Keys": left}} if left else {}}

    def _crash_after(self, name: str, call: Callable[..., Any], given: dict[str, Any]) -> None:
        call(**given)
        raise CrashError(name)


class SmallAws(httpx.AsyncBaseTransport):
    """The deployment, for one client."""

    def __init__(self, dynamodb: Any, plan: Plan, *, seconds: float) -> None:  # noqa: ANN401 - moto's client
        faults = PlannedFaults(plan)
        window_days = 0.4 * seconds / _DAY_S
        self.world = World(dynamodb, arming_window_days=window_days, shards=2, faults=faults)
        faults.sleep = self.world.clock.sleep
        self.plan = plan
        api = Api(Context(self.world.engine, streams=False), secrets=tuple)
        self._inner = httpx.WSGITransport(LateApplication(handler(api)))
        self.history: Final = History()
        self.observed = Observations([], [])
        self._seen: list[Seen] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as API Gateway does, also where the function dies."""
        await asyncio.sleep(0)
        sent = httpx.Request(request.method, request.url, headers=request.headers, content=request.read())
        try:
            answer = self._inner.handle_request(sent)
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.read())
        except CrashError:
            return httpx.Response(502)

    async def run(self, seed: str, count: int, seconds: float) -> Verdict:
        """Play all scripts while calls go wrong, let all settle, and return the verdict."""
        clock = self.world.clock
        async with httpx.AsyncClient(transport=self, base_url="http://small.aws/") as http:
            client = Client(
                http,
                self.history,
                seconds=seconds,
                patience_s=_PATIENCE_S,
                again=AGAIN,
                lingers=False,
                at_once=AT_ONCE,
                clock=clock,
            )
            living = [asyncio.create_task(self._live()), asyncio.create_task(self._listen(http))]
            played = scripts(seed, count, seconds)
            playing = asyncio.gather(asyncio.sleep(seconds), *(client.play(script) for script in played))
            await asyncio.wait([playing], timeout=2 * seconds)
            self.plan.end()
            await playing
            for _ in range(_MOST_SWEEPS):
                await asyncio.sleep(_SWEEP_S)
                waiting = await read_tasks(http, status="scheduled")
                if all(task.version.due_ms > clock() + _SOON_MS for task in waiting):
                    break
            await asyncio.sleep(_SWEEP_S)
            for life in living:
                life.cancel()
            deliveries = [Delivered.of(json.loads(event), ms) for ms, event in self.world.published]
            log, tasks = await read_log(http), await read_tasks(http)
            self.observed = Observations(log, tasks, self._seen, deliveries=deliveries, due_before_ms=clock())
        return check(self.history, self.observed)

    async def _live(self) -> None:
        """Let timers fire and functions run."""
        swept_ms = self.world.clock()
        while True:
            await asyncio.sleep(_TICK_S)
            with suppress(CrashError, UnavailableError):  # what was not recorded is delivered again
                self.world.deliver()
            self.world.machine.run()  # afterwards: what goes out now is on its way until the next turn
            if self.world.clock() > swept_ms + _SWEEP_S * 1000:
                swept_ms = self.world.clock()
                with suppress(CrashError, UnavailableError):  # the next sweep goes on
                    self.world.sweep()

    async def _listen(self, http: httpx.AsyncClient) -> None:
        """Read the event log as it grows."""
        position = 0
        while True:
            await asyncio.sleep(1)
            answer = await http.get("events", params={"after": position, "limit": 100})
            if answer.is_success:
                page = [Emitted.of(envelope) for envelope in answer.json()["events"]]
                self._seen += [Seen(event, self.world.clock()) for event in page]
                position = page[-1].sequence if page else position
