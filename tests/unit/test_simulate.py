"""The simulation: buckets by hand, nothing lost or made, the same run again, and the constants of the code."""

import inspect
import re
from dataclasses import replace
from math import ceil
from pathlib import Path

import pytest

from lab.bench import simulate
from lab.bench.cost import LARGE, Cost, Deployment
from lab.bench.scale import limits, page, scenarios
from lab.bench.scale.limits import DEPLOYED, LARGE_REGION, SMALL_REGION, Design, Quotas, ceilings
from lab.bench.scale.model import Arrivals, World
from lab.bench.scale.plot import chart, thinned
from lab.bench.scale.run import Bucket, Run
from task_scheduler.aws import clients
from task_scheduler.aws.sweeper import Sweeper

pytestmark = pytest.mark.lab

ROOT = Path(__file__).resolve().parents[2]
SCALE = (ROOT / "docs" / "scale.md").read_text()
OPEN_DOOR = Design(requests_per_second=10_000, request_burst=10_000)


def at_once(count: int, *, due: int) -> Arrivals:
    return lambda now: [due] * count if now == 0 else []


def run(arrivals: Arrivals, until: int, *, quotas: Quotas = LARGE_REGION, design: Design = OPEN_DOOR) -> Run:
    return World(quotas, design).simulate(arrivals, until=until)


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = Bucket(2, 5)
    assert [bucket.take(1) for _ in range(6)] == [True] * 5 + [False]
    bucket.refill()
    assert [bucket.take(1) for _ in range(3)] == [True, True, False]
    for _ in range(9):
        bucket.refill()
    assert [bucket.take(1) for _ in range(6)] == [True] * 5 + [False]


def test_a_large_grain_leaves_a_debt_that_is_paid_off_before_the_next() -> None:
    bucket = Bucket(10)
    assert bucket.take(35)
    for refused in (True, True, False):
        bucket.refill()
        assert bucket.take(35) is not refused


def test_few_tasks_go_out_on_time_and_into_the_log() -> None:
    done = run(lambda now: [now + 30], 120)
    assert done.published == [0] * 90
    assert done.recorded == [0] * 90
    assert done.first == {}
    assert max(done.open) == 30


def test_starts_beyond_the_burst_and_two_attempts_are_parked_and_started_by_the_sweeper() -> None:
    done = run(at_once(2_000, due=600), 700)
    assert max(done.parked) == 2_000 - 1_300 - 300
    assert done.first["StartExecution"] == 0
    assert done.parked[59] == 400
    assert done.parked[64] == 0
    assert done.published == [0] * 2_000


def test_beyond_the_open_executions_tasks_wait_until_one_ends() -> None:
    soon_and_later: Arrivals = lambda now: [30] * 10 + [100] * 5 if now == 0 else []  # noqa: E731 - as the others
    done = run(soon_and_later, 200, quotas=replace(LARGE_REGION, open_executions=10))
    assert max(done.open) == 10
    assert max(done.parked) == 5
    assert done.published == [0] * 15


def test_what_is_due_beyond_the_arming_window_is_parked_until_it_is_near() -> None:
    done = run(at_once(50, due=3_000), 3_100, design=replace(OPEN_DOOR, window_days=1_000 / 86_400))
    assert max(done.open[:1_990]) == 0
    assert done.open[2_070] == 50
    assert done.published == [0] * 50


def test_a_crowd_goes_out_as_fast_as_transitions_allow() -> None:
    done = run(at_once(1_300, due=10), 30, quotas=replace(LARGE_REGION, transitions=500))
    assert [done.published.count(late) for late in range(4)] == [500, 500, 300, 0]


def test_what_sns_refuses_is_tried_again_until_it_goes_out() -> None:
    done = run(at_once(300, due=10), 200, quotas=replace(LARGE_REGION, publishes=20))
    assert done.published.count(0) == 20
    assert len(done.published) == 300
    assert max(done.published) >= 300 / 20 - 1
    assert done.first["SNS publishes"] == 10


def test_the_door_turns_away_what_is_too_much() -> None:
    done = run(lambda now: [now + 10] * 10, 100, design=Design(requests_per_second=4, request_burst=8))
    assert done.refused == done.offered - 8 - 99 * 4
    assert list(done.first) == ["requests_per_second"]


def test_the_recorder_writes_down_what_its_environments_can() -> None:
    design = replace(OPEN_DOOR, recorders=1)
    done = run(at_once(1_000, due=10), 30, design=design)
    assert len([late for late in done.recorded if late == 0]) == ceil(design.recorded)
    assert done.behind[10] == 1_000 - ceil(design.recorded)


def test_overdue_tasks_that_the_recorder_has_yet_to_write_down_keep_the_sweeper_from_parked_ones() -> None:
    def arrivals(now: int) -> list[int]:
        return [300] * 40 if now == 0 else [100] * 125 if now <= 4 else []

    quotas = replace(LARGE_REGION, start_burst=20_000, environments=9_000, describe_rate=1, describe_burst=1)
    design = Design(requests_per_second=20_000, recorders=1, window_days=120 / 86_400)
    found = {}
    for half in (False, True):
        done = World(quotas, replace(design, halves=half), grain=20).simulate(arrivals, until=900)
        assert not done.refused
        found[half] = max(late for due, late in done.late if due == 300)
    assert found[True] == 0
    assert found[False] >= 60


@pytest.mark.parametrize("quotas", [LARGE_REGION, SMALL_REGION], ids=["large", "small"])
@pytest.mark.parametrize("rate", [50, 400, 3_000])
def test_what_was_offered_was_refused_emitted_or_waits(rate: int, quotas: Quotas) -> None:
    scenario = scenarios.steady(rate, 300, quotas=quotas)
    assert scenario
    done = replace(scenario, until=1_200, grain=max(rate // 10, 1)).run()  # it raises where the grains it holds differ
    assert done.offered == done.refused + done.emitted + done.waiting
    assert done.emitted
    assert len(done.published) == done.emitted + done.overdue
    assert min(done.published) >= 0


def test_a_run_can_be_repeated() -> None:
    scenario = scenarios.steady(400, 300)
    assert scenario
    scenario = replace(scenario, until=900)
    assert scenario.run() == scenario.run()


def test_too_many_tasks_for_a_run_are_left_to_arithmetic() -> None:
    assert scenarios.steady(10_000, scenarios.YEAR) is None


def test_the_constants_are_those_of_the_code() -> None:
    assert clients._QUICK.retries == {"mode": "standard", "total_max_attempts": limits.TRIES}  # type: ignore[attr-defined]  # noqa: SLF001 - what a client is made with
    assert inspect.signature(Sweeper).parameters["threads"].default == limits.SWEEP_THREADS
    [spare] = re.findall(r"_SPARE_MS: Final = ([\d_]+)", (ROOT / "lambdas" / "sweeper.py").read_text())
    assert int(spare) == 55_000 - limits.SWEEP_S * 1000  # a test of the template holds the 55 s
    assert 3_600 / Deployment().sweeps_an_hour == limits.SWEEP_EVERY_S


def test_the_event_log_takes_a_thousand_units_a_second_each_twice() -> None:
    rates = {one.name: one.rate for one in ceilings(LARGE_REGION, DEPLOYED)}
    assert rates["event log"] == 8 * 500
    large = {one.name: one.rate for one in ceilings(LARGE_REGION, Design(size=LARGE))}
    assert large["event log"] == pytest.approx(8 * 1_000 / (2 * Cost(LARGE).event_writes))


def test_the_page_has_what_the_constants_of_today_make() -> None:
    for part, made in simulate.parts().items():
        assert f"<!-- make bench: simulate {part} -->\n\n{made}\n\n<!-- end -->" in SCALE, "run: make simulate"


def test_the_quick_command_prints_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    simulate.main(["--quick"])
    printed = capsys.readouterr().out
    assert "| recorder |" in printed
    assert "Seed " in printed
    assert (ROOT / "docs" / "scale.md").read_text() == SCALE


def test_the_page_has_what_a_run_of_today_finds() -> None:
    shown = next(scenario for scenario in scenarios.sizes() if "200 a second, a small region" in scenario.name)
    cells = page.row(shown.run())
    assert f"| {shown.name} | {' | '.join(cells)} |" in SCALE, "run: make simulate"


def test_the_pictures_of_the_page_are_there_and_no_others() -> None:
    named = set(re.findall(r"images/(scale-[a-z]+\.svg)", SCALE))
    assert named == {file.name for file in (ROOT / "docs" / "images").glob("scale-*.svg")}


def test_a_chart_has_its_lines_and_escapes_their_names() -> None:
    drawn = chart("a < b", "x", "y", {"one & two": [(0, 0), (1, 5)], "three": [(0, 2), (1, 1)]})
    assert drawn.count("<polyline") == 2
    assert "a &lt; b" in drawn
    assert "one &amp; two" in drawn


def test_thinning_keeps_the_peaks_and_the_ends() -> None:
    points = [(float(number), 1.0 if number == 777 else 0.0) for number in range(10_000)]
    thin = thinned(points)
    assert len(thin) < 200
    assert (777.0, 1.0) in thin
    assert (thin[0], thin[-1]) == (points[0], points[-1])


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_200, "2 h"), (10 * 86_400, "10 d")]
)
def test_times_are_said_in_the_unit_that_suits_them(seconds: int, words: str) -> None:
    assert page.duration(seconds) == words
