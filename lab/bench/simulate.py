"""`python -m lab.bench.simulate`: simulates the AWS engine under its quotas, writes docs/scale.md and its pictures."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Final

from lab.bench.report import write
from lab.bench.scale import page, scenarios
from lab.bench.scale.plot import Points, chart
from lab.bench.scale.run import Run
from lab.bench.scale.scenarios import DAY, HERD_AT, HOUR, MINUTE

DOCS: Final = Path(__file__).resolve().parent.parent / "docs"


def parts() -> dict[str, str]:
    """Return those parts of the page that need no run."""
    return {"ceilings": page.ceilings_table(), "assumptions": page.assumptions()}


def steady_parts() -> dict[str, str]:
    """Simulate what comes evenly."""
    deployed = [(horizon, rate, scene.run() if scene else None) for horizon, rate, scene in scenarios.as_deployed()]
    return {
        "deployed": page.deployed_table(deployed),
        "sizes": page.named_table((scene.name, scene.run()) for scene in scenarios.sizes()),
    }


def window_parts() -> tuple[dict[str, str], dict[str, str]]:
    """Simulate long horizons; return the table and the pictures."""
    runs = {scene.name: (scene, scene.run()) for scene in scenarios.windows()}
    shown = {name: run for name, (_, run) in runs.items() if name.startswith("10 ")}
    names = {name: "arming_window_days=360" if "360" in name else "as deployed: a day" for name in shown}
    pictures = {
        "scale-open": chart(
            "Open executions: 10 tasks a second, 30 days ahead",
            "days",
            "open executions",
            {names[name]: over_time(run, run.open, DAY) for name, run in shown.items()},
        ),
        "scale-late": chart(
            "Lateness: 10 tasks a second, 30 days ahead",
            "days",
            "days late, by when a task was due; after 90 days the run ends, and what is not out is at least so late",
            {names[name]: lateness(run, DAY, DAY) for name, run in shown.items()},
        ),
    }
    return {"windows": page.named_table((name, run) for name, (_, run) in runs.items())}, pictures


def herd_parts() -> tuple[dict[str, str], dict[str, str]]:
    """Simulate crowds; return the table and the pictures."""
    runs = {scene.name: scene.run() for scene in scenarios.herds()}
    large, small, after, mended, *_ = (runs[name] for name in runs if "15 recorders" not in name)
    pictures = {
        "scale-herd": chart(
            "A million tasks due at 12:00:00",
            "minutes after 12:00",
            "tasks that are not out, or not in the event log",
            {
                "us-east-1: not out": after_herd(large.open),
                "not in the log": after_herd([a + b for a, b in zip(large.open, large.behind, strict=True)]),
                "a small region: not out": after_herd(small.open),
                "not in the log ": after_herd([a + b for a, b in zip(small.open, small.behind, strict=True)]),
            },
        ),
        "scale-burst": chart(
            "15,000 tasks five minutes after a million, due ten minutes later",
            "minutes after 12:00",
            "parked tasks",
            {
                "as deployed": after_herd(after.parked),
                "half of each sweep for parked tasks": after_herd(mended.parked),
            },
        ),
    }
    return {"herds": page.named_table(runs.items())}, pictures


def after_herd(counts: Sequence[int]) -> Points:
    """Return counts by the minute, from ten minutes before the crowd is due to two hours after."""
    span = range(HERD_AT - 10 * MINUTE, min(HERD_AT + 2 * HOUR, len(counts)))
    return [((second - HERD_AT) / MINUTE, counts[second]) for second in span]


def over_time(run: Run, counts: Sequence[int], unit: int) -> Points:
    """Return counts by the time."""
    return [(number * run.step / unit, count) for number, count in enumerate(counts)]


def lateness(run: Run, every: int, unit: int) -> Points:
    """Return how late tasks were on average, by when they were due."""
    found: dict[int, list[int]] = {}
    for due, late in run.late:
        found.setdefault(due // every, []).append(late)
    return [(number * every / unit, fmean(found[number]) / unit) for number in sorted(found)]


def main(arguments: Sequence[str]) -> None:
    """Simulate, print, and write."""
    parser = argparse.ArgumentParser(prog="python -m lab.bench.simulate", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only what needs no run; writes nothing")
    given = parser.parse_args(arguments)
    made, pictures = parts(), {}
    if not given.quick:
        windows, of_windows = window_parts()
        herds, of_herds = herd_parts()
        made |= steady_parts() | windows | herds
        pictures = of_windows | of_herds
    for part in made.values():
        sys.stdout.write(f"{part}\n\n")
    if not given.quick:
        write("simulate", made, page=DOCS / "scale.md")
        for name, picture in pictures.items():
            (DOCS / "images" / f"{name}.svg").write_text(picture)


if __name__ == "__main__":
    main(sys.argv[1:])
