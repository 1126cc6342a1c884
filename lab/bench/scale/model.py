"""A discrete simulation of the AWS engine under its quotas: from step to step, in grains of many tasks.

A grain is a number of tasks that go the same way at the same time; quotas are counted in tasks. The same seed gives the
same run. Nothing fails but what a quota refuses.
"""

import heapq
from collections import defaultdict, deque
from collections.abc import Callable
from math import ceil
from random import Random
from typing import Final

from lab.bench.cost import API_SECONDS, SECONDS_PER_BYTE, Cost
from lab.bench.scale.limits import (
    ATTEND_S,
    LOOK_S,
    PARTITION_WRITES,
    RETRIES,
    RETRY_FIRST_S,
    RETRY_LONGEST_S,
    SWEEP_EVERY_S,
    SWEEP_S,
    SWEEP_THREADS,
    TABLE_WRITES,
    THROTTLED_S,
    TRIES,
    Design,
    Quotas,
)
from lab.bench.scale.run import Bucket, Grain, Run

_DAY_S: Final = 86_400
_LOOKED_S: Final = 0.005  # of a thread, for a task that turns out to need nothing: its part of reading a page of 200
_BEHIND_S: Final = 5  # a queue longer than what is done in this time is a limit that was met

Arrivals = Callable[[int], list[int]]
"""From a step's time to the due times of the grains that come in it."""


class World:
    """One stack in one account and region."""

    def __init__(self, quotas: Quotas, design: Design, *, grain: int = 1, step: int = 1, seed: int = 1) -> None:
        self.quotas = quotas
        self.design = design
        self.run = Run(grain, step)
        self._random = Random(seed)  # noqa: S311 - a simulation
        self._grain = grain
        self._step = step
        cost = Cost(design.size)
        self._cost = cost
        api_s = API_SECONDS + design.size * SECONDS_PER_BYTE
        self._buckets = {
            "requests_per_second": Bucket(design.requests_per_second, design.request_burst, step=step),
            "Lambda environments": Bucket(quotas.environments / api_s, step=step),
            "StartExecution": Bucket(quotas.start_rate, quotas.start_burst, step=step),
            "transitions": Bucket(quotas.transitions, step=step),
            "SNS publishes": Bucket(quotas.publishes, step=step),
            "DescribeExecution": Bucket(quotas.describe_rate, quotas.describe_burst, step=step),
            "recorder": Bucket(design.recorded, step=step),
            "event log": Bucket(design.logged, step=step),
            "index": Bucket(design.shards * PARTITION_WRITES, step=step),
            "tasks table": Bucket(TABLE_WRITES, step=step),
        }
        self._starting: deque[Grain] = deque()
        self._open = 0
        self._waits: dict[int, list[Grain]] = defaultdict(list)
        self._entering: deque[Grain] = deque()
        self._to_record: deque[Grain] = deque()
        self._parked: list[tuple[int, int, Grain]] = []
        self._unrecorded: dict[int, list[Grain]] = defaultdict(list)  # what the table calls scheduled, by due time
        self._sequence = 0
        self._overdue: deque[Grain] = deque()
        self._set_aside: list[tuple[int, int, Grain]] = []
        self._threads_s = 0.0
        self._sweeping = False
        self._full = False

    def simulate(self, arrivals: Arrivals, *, until: int) -> Run:
        """Run from 0 until a time."""
        for now in range(0, until, self._step):
            for bucket in self._buckets.values():
                bucket.refill()
            self._accept(now, arrivals(now))
            to_arm = self._sweep(now)
            self._publish(now)  # first, as it makes room for others
            self._start(now, to_arm)
            self._publish(now)
            self._record(now)
            self.run.open.append(self._open * self._grain)
            self.run.parked.append((len(self._parked) + len(self._set_aside)) * self._grain)
            self.run.behind.append(len(self._to_record) * self._grain)
        self._end(until)
        return self.run

    def _take(self, name: str, now: int, count: float | None = None) -> bool:
        if self._buckets[name].take(self._grain if count is None else count):
            return True
        self.run.first.setdefault(name, now)
        return False

    def _accept(self, now: int, dues: list[int]) -> None:
        """Turn away what the door does not let through; park what is far, start what is near."""
        writes = self._grain * (self._cost.task_writes + 1)
        for due in dues:
            self.run.offered += 1
            if not (
                self._take("requests_per_second", now)
                and self._take("Lambda environments", now)
                and self._take("index", now)
                and self._take("tasks table", now, writes)
            ):
                self.run.refused += 1
                continue
            grain = Grain(due)
            if due > now + self.design.window_days * _DAY_S:
                self._park(grain)
            else:
                self._starting.append(grain)

    def _park(self, grain: Grain) -> None:
        self._sequence += 1
        self.run.ever_parked += 1
        heapq.heappush(self._parked, (grain.due, self._sequence, grain))

    def _start(self, now: int, to_arm: deque[Grain]) -> None:
        """Start executions: the API's and the sweeper's attempts come in a random order, each in its own."""
        api, self._starting = self._starting, deque()
        while api or to_arm:
            swept = self._random.random() * (len(api) + len(to_arm)) >= len(api)
            grain = (to_arm if swept else api).popleft()
            if self._open * self._grain >= self.quotas.open_executions:
                self.run.first.setdefault("open executions", now)
                self._full = self._full or swept
            elif self._take("StartExecution", now):
                self._buckets["transitions"].tokens -= self._grain
                self._open += 1
                grain.tries = 0
                self._waits[max(grain.due, now)].append(grain)
                self._unrecorded[grain.due].append(grain)
                continue
            elif not swept and self._step == 1 and grain.tries + 1 < TRIES:
                grain.tries += 1
                self._starting.append(grain)
                continue
            grain.tries = 0
            if swept:
                self._sequence += 1
                self._set_aside.append((grain.due, self._sequence, grain))
            else:
                self._park(grain)

    def _publish(self, now: int) -> None:
        """Enter the publish as fast as transitions allow; what SNS refuses is tried again after a random pause."""
        for time in range(now, now + self._step):
            self._entering.extend(self._waits.pop(time, ()))
        while self._entering and self._take("transitions", now):
            grain = self._entering.popleft()
            if self._take("SNS publishes", now):
                self._open -= 1
                grain.published = max(now, grain.due)
                self.run.emitted += 1
                self._note(grain, grain.published)
                self._to_record.append(grain)
                continue
            longest = min(RETRY_FIRST_S * 2**grain.tries, RETRY_LONGEST_S)
            grain.tries += 1
            if grain.tries > RETRIES:
                raise OverflowError("The publish gave up, which this simulation does not follow any further.")
            pause = max(ceil(self._random.random() * longest), self._step)
            self._waits[now + pause].append(grain)

    def _note(self, grain: Grain, now: int) -> None:
        self.run.published.append(now - grain.due)
        self.run.late.append((grain.due, now - grain.due))

    def _record(self, now: int) -> None:
        while self._to_record and self._to_record[0].recorded is not None:
            self._to_record.popleft()
        while self._to_record and self._take("recorder", now) and self._take("event log", now):
            grain = self._to_record.popleft()
            if grain.recorded is None:
                self._written_down(grain, now)
        if len(self._to_record) * self._grain <= _BEHIND_S * min(self.design.recorded, self.design.logged) * self._step:
            for name in ("recorder", "event log"):
                if self.run.first.get(name) == now:
                    del self.run.first[name]

    def _written_down(self, grain: Grain, now: int) -> None:
        grain.recorded = max(now, grain.due)
        self.run.recorded.append(grain.recorded - grain.due)
        self._buckets["index"].tokens -= self._grain
        self._buckets["tasks table"].tokens -= 2 * self._grain * (self._cost.task_writes + 1)

    def _sweep(self, now: int) -> deque[Grain]:
        """Attend to what is overdue, then to what is parked, as far as the time of the threads goes."""
        if now % SWEEP_EVERY_S < self._step or self._step >= SWEEP_EVERY_S:
            self._find(now)
        elif not self._sweeping or now % SWEEP_EVERY_S >= SWEEP_S:
            return deque()
        share = SWEEP_S / SWEEP_EVERY_S if self._step >= SWEEP_EVERY_S else 1
        self._threads_s = min(self._threads_s, 0) + SWEEP_THREADS * self._step * share
        to_arm: deque[Grain] = deque()
        mends = not self.design.halves or now % SWEEP_EVERY_S < SWEEP_S / 2
        while mends and self._overdue and self._threads_s > 0:
            self._mend(self._overdue.popleft(), now)
        if not mends or not self._overdue:
            self._arm(now, to_arm)
        if self._threads_s <= 0 and self._is_near(now):
            self.run.first.setdefault("sweeper", now)
        self._sweeping = bool(self._overdue) or self._is_near(now)  # it ends when it has found nothing more
        return to_arm

    def _is_near(self, now: int) -> bool:
        """Tell whether a timer may be started for the soonest of the parked tasks."""
        return bool(self._parked) and self._parked[0][0] <= now + self.design.window_days * _DAY_S

    def _find(self, now: int) -> None:
        """Begin a sweep: what is overdue now, soonest first; what the last one could not start is met again."""
        self._full = False
        self._overdue.clear()
        for due in sorted(due for due in self._unrecorded if due <= now - LOOK_S):
            left = [grain for grain in self._unrecorded[due] if grain.recorded is None]
            if left:
                self._unrecorded[due] = left
                self._overdue.extend(left)
            else:
                del self._unrecorded[due]
        for entry in self._set_aside:
            heapq.heappush(self._parked, entry)
        self._set_aside.clear()

    def _arm(self, now: int, to_arm: deque[Grain]) -> None:
        while not self._full and self._is_near(now) and self._threads_s > 0:
            to_arm.append(heapq.heappop(self._parked)[2])
            self._threads_s -= self._grain * ATTEND_S

    def _mend(self, grain: Grain, now: int) -> None:
        if grain.recorded is not None:
            self._threads_s -= self._grain * _LOOKED_S
        elif not self._take("DescribeExecution", now):
            self._threads_s -= self._grain * THROTTLED_S
        else:
            self._threads_s -= self._grain * ATTEND_S
            if grain.published is not None and self._take("event log", now):
                self._written_down(grain, now)

    def _end(self, until: int) -> None:
        self.run.waiting = self.run.offered - self.run.refused - self.run.emitted
        held = [grain for grains in self._waits.values() for grain in grains]
        held += [*self._starting, *self._entering, *(entry[2] for entry in [*self._parked, *self._set_aside])]
        if len(held) != self.run.waiting:
            raise AssertionError(f"{self.run.waiting} grains should be waiting, and {len(held)} are.")
        for grain in held:
            if grain.due + self._step < until:
                self.run.overdue += 1
                self._note(grain, until)
        unrecorded = [*held, *(grain for grain in self._to_record if grain.recorded is None)]
        self.run.recorded += [until - grain.due for grain in unrecorded if grain.due + self._step < until]
