"""`python -m lab bench|chaos|load|cost ...`: measures, breaks, loads, and reckons; `--help` after each says more."""

import importlib
import sys
from typing import Final

_TOOLS: Final = {
    "bench": "lab.bench.command",
    "chaos": "lab.chaos.command",
    "load": "lab.bench.load",
    "cost": "lab.bench.cost",
}


def main(arguments: list[str]) -> int:
    """Run one tool; returns its exit code."""
    if not arguments or arguments[0] not in _TOOLS:
        sys.stderr.write(f"usage: python -m lab {{{','.join(_TOOLS)}}} ...\n\n{__doc__}\n")
        return 0 if arguments in (["-h"], ["--help"]) else 2
    return int(importlib.import_module(_TOOLS[arguments[0]]).main(arguments[1:]) or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
