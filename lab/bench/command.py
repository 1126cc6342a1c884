"""`python -m lab bench local|aws|peers`: measures, prints a table and writes it into docs/benchmarks.md."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Final

from lab.bench.report import write

_BENCHES: Final = {
    "local": "the local engine, beside the limit",
    "peers": "the local engine, beside others of its kind",
    "aws": "the start of the function of the API",
}


def main(arguments: Sequence[str]) -> None:
    """Run the benches that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m lab bench", description=__doc__)
    parser.add_argument("benches", nargs="*", choices=[*_BENCHES, []], help=str(_BENCHES))
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured")
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that it works; writes nothing")
    given = parser.parse_args(arguments)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed somewhere has its bytecode
    for name in given.benches or _BENCHES:
        measured = importlib.import_module(f"lab.bench.{name}").run(rounds=given.rounds, quick=given.quick)
        sys.stdout.write(f"{measured}\n\n")
        if not given.quick:
            write(name, measured)
