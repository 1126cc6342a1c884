"""What is simulated: tasks that come evenly and wait for minutes or for months, and a crowd due in the same second."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from lab.bench.scale.limits import DEPLOYED, LARGE_REGION, SMALL_REGION, Design, Quotas, raised
from lab.bench.scale.model import Arrivals, World
from lab.bench.scale.run import Run

SEED: Final = 20_261_122
MINUTE: Final = 60
HOUR: Final = 3_600
DAY: Final = 86_400
YEAR: Final = 365 * DAY
RATES: Final = (1, 10, 100, 1_000, 10_000)
HORIZONS: Final = {"5 minutes": 5 * MINUTE, "1 hour": HOUR, "1 day": DAY, "30 days": 30 * DAY, "1 year": YEAR}
HERD: Final = 1_000_000
HERD_AT: Final = 10 * HOUR
BURST: Final = 15_000
"""Tasks that come soon after the herd, in half a minute, due ten minutes later."""

_MOST_GRAINS: Final = 400_000
_FINEST_GRAINS: Final = 20_000
_COARSEST: Final = 10_000  # a hundredth of the executions that may be open
_STEPS: Final = {5 * MINUTE: 1, HOUR: 1, DAY: MINUTE, 30 * DAY: HOUR, YEAR: 6 * HOUR}


@dataclass(frozen=True)
class Scenario:
    """A name, what comes, and where it comes to."""

    name: str
    arrivals: Arrivals
    until: int
    grain: int
    step: int = 1
    design: Design = DEPLOYED
    quotas: Quotas = LARGE_REGION

    def run(self) -> Run:
        """Simulate it."""
        world = World(self.quotas, self.design, grain=self.grain, step=self.step, seed=SEED)
        return world.simulate(self.arrivals, until=self.until)


def evenly(rate: float, horizon: int, *, grain: int, step: int) -> Arrivals:
    """Let tasks come evenly, each due after between half the horizon and one and a half."""

    def arrivals(now: int) -> list[int]:
        random = Random(SEED + now)  # noqa: S311 - a simulation
        count = int(rate * (now + step) // grain) - int(rate * now // grain)
        return [now + int(horizon * (0.5 + random.random())) for _ in range(count)]

    return arrivals


def steady(rate: int, horizon: int, *, design: Design = DEPLOYED, quotas: Quotas = LARGE_REGION) -> Scenario | None:
    """Return a rate and a horizon until the state is steady for a while; None where that is too much to simulate."""
    step = _STEPS[horizon]
    until = 3 * horizon + HOUR if horizon < YEAR else 2 * horizon
    grain = min(max(rate * until // _FINEST_GRAINS, 1), _COARSEST)
    if rate * until / grain > _MOST_GRAINS:
        return None
    arrivals = evenly(rate, horizon, grain=grain, step=step)
    return Scenario(f"{rate:,} a second", arrivals, until, grain, step, design, quotas)


def herd(name: str, *, burst: bool = False, design: Design = DEPLOYED, quotas: Quotas = LARGE_REGION) -> Scenario:
    """Return a million tasks due in one second, scheduled over ten hours; and perhaps a burst after it."""
    grain, step = 100, 1
    beginning = HERD_AT + 5 * MINUTE

    def arrivals(now: int) -> list[int]:
        if now < HERD_AT:
            count = HERD * (now + step) // HERD_AT // grain - HERD * now // HERD_AT // grain
            return [HERD_AT] * count
        if burst and beginning <= now < beginning + 30:
            return [now + 10 * MINUTE] * (BURST // 30 // grain)
        return []

    return Scenario(name, arrivals, HERD_AT + 3 * HOUR, grain, step, design, quotas)


def as_deployed() -> Iterator[tuple[str, int, Scenario | None]]:
    """Yield each rate with each horizon in us-east-1, with the default settings."""
    for horizon_name, horizon in HORIZONS.items():
        for rate in RATES:
            yield horizon_name, rate, steady(rate, horizon)


def sizes() -> Iterator[Scenario]:
    """Yield each rate with a short horizon where quotas are small, and where they and the settings were raised."""
    for rate in (100, 200, 1_000, 10_000):
        design, quotas = raised(DEPLOYED, LARGE_REGION, rate)
        variants: Sequence[tuple[str, Design, Quotas]] = (
            ("us-east-1, as deployed", DEPLOYED, LARGE_REGION),
            ("a small region, as deployed", DEPLOYED, SMALL_REGION),
            ("us-east-1, quotas and requests_per_second raised", design, quotas),
            ("the same, and 50 recorders", replace(design, recorders=50), quotas),
        )
        for where, its_design, its_quotas in variants:
            scenario = steady(rate, 5 * MINUTE, design=its_design, quotas=its_quotas)
            if scenario:
                yield replace(scenario, name=f"{rate:,} a second, {where}")


def windows() -> Iterator[Scenario]:
    """Yield long horizons with the default arming window, and with others."""
    for rate, days in ((1, (360.0, 1.0)), (5, (360.0, 1.0)), (10, (360.0, 1.0)), (50, (0.2,)), (100, (0.1,))):
        for window in days:
            scenario = steady(rate, 30 * DAY, design=Design(window_days=window))
            if scenario:
                yield replace(scenario, name=f"{rate} a second, 30 days ahead, `arming_window_days={window:g}`")


def herds() -> Iterator[Scenario]:
    """Yield the crowd in large and small regions, and with what would mend what it shows."""
    yield herd("us-east-1, as deployed")
    yield herd("a small region, as deployed", quotas=SMALL_REGION)
    yield herd("us-east-1, `recorder_concurrency=15`", design=Design(recorders=15))
    yield herd("us-east-1, and a burst after it", burst=True)
    yield herd("the same, if parked tasks had to wait for overdue ones", burst=True, design=Design(halves=False))
    yield herd("the same burst, `recorder_concurrency=15`", burst=True, design=Design(recorders=15))
