"""The AWS engine: its start, its CPU, its asset and its calls, and the whole stack in the emulator."""

import compileall
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from docs.markdown import table
from emulator.deployment import deployed
from lab.bench.aws import counted, emulated, startup, warm
from lab.bench.report import Row, machine, shown
from task_scheduler.cdk.bundle import bundle

_PACKAGES: Final = ("boto3", "aws-lambda-powertools", "ministack", "moto")
_FEW: Final = 1_000
_MANY: Final = 100_000


def figures(*, rounds: int, quick: bool) -> dict[str, str]:
    """Measure, and return the parts of the page."""
    rows = [*_started(rounds), _called(rounds, quick=quick), *_emulated(rounds, quick=quick)]
    load = f"Load average at the end: {os.getloadavg()[0]:.1f}."
    return {
        "table": f"{shown(rows, other='the bare calls')}\n\n{machine(_PACKAGES)} {load}",
        "calls": _counted(_FEW, _MANY // 50 if quick else _MANY),
    }


def _started(rounds: int) -> list[Row]:
    """Start the function from its asset: compiled, and as Lambda finds it, which keeps no bytecode of an asset."""
    with TemporaryDirectory(prefix="task-scheduler-bench-") as name:
        plain, compiled = Path(name, "plain"), Path(name, "compiled")
        bundle(plain)
        bundle(compiled)
        compileall.compile_dir(compiled, quiet=1)
        size = Path(shutil.make_archive(str(Path(name, "asset")), "zip", plain)).stat().st_size
        runs: dict[str, list[float]] = {"bare": [], "compiled": [], "plain": []}
        for _ in range(rounds):
            runs["bare"].append(startup.cpu_ms(startup.BARE, plain))
            runs["compiled"].append(startup.cpu_ms(startup.FUNCTION, compiled))
            runs["plain"].append(startup.cpu_ms(startup.FUNCTION, plain, "-B"))
    return [
        Row("start-up of `api`, CPU", "ms", runs["compiled"], runs["bare"], "1.3 of it at most"),
        Row("the same, the asset not compiled", "ms", runs["plain"], runs["bare"]),
        Row("the asset, zipped", "MB", [size / 1_000_000], to_reach="5 MB at most"),
    ]


def _called(rounds: int, *, quick: bool) -> Row:
    pairs = [warm.measure(quick=quick) for _ in range(rounds)]
    ours, bare = zip(*pairs, strict=True)
    return Row("warm `POST /schedule`, AWS answered in memory, CPU", "ms", ours, bare, "1.25 of it at most")


def _emulated(rounds: int, *, quick: bool) -> list[Row]:
    with deployed() as deployment:
        ours, bare = both = emulated.sides(deployment)
        for _ in range(rounds):
            emulated.run_once(both, 10 if quick else 60)
    goal = "1.25 of it at most"
    return [
        Row("`POST /schedule` in the emulator", "ms", ours.latencies, bare.latencies, goal),
        Row("lateness in the emulator", "ms", ours.latenesses, bare.latenesses, goal),
    ]


def _counted(few: int, many: int) -> str:
    """Return a table of what each operation asks for with few tasks pending, and with many."""
    least, most = counted.costs(few), counted.costs(many)
    cells = [
        (
            name,
            _calls(most[name].calls),
            _both(least[name].items, most[name].items),
            _both(least[name].sent, most[name].sent),
            _both(least[name].received, most[name].received),
        )
        for name in counted.OPERATIONS
        if least[name].calls == most[name].calls
    ]
    if len(cells) != len(counted.OPERATIONS):
        raise RuntimeError("An operation makes other calls with many tasks than with few.")
    header = ("operation", "calls", "items read", "bytes sent", "bytes received")
    return (
        f"{table(header, cells)}\n\nWith {few:,} tasks pending; where it is another number with {many:,}, that follows."
    )


def _calls(calls: Mapping[str, int]) -> str:
    return ", ".join(name if count == 1 else f"{count} {name}" for name, count in calls.items())


def _both(least: int, most: int) -> str:
    return f"{least:,}" if least == most else f"{least:,}; {most:,}"
