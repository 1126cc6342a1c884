"""`python -m lab bench|chaos|load ...`: measures the product, breaks it, or loads it; each has its own --help."""

import sys
from importlib import import_module
from typing import Final

_PARTS: Final = ("bench", "chaos", "load")


def main(arguments: list[str]) -> int:
    """Run a part of the lab with the arguments that follow its name; returns its exit code."""
    if not arguments or arguments[0] not in _PARTS:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    outcome: int | None = import_module(f"{__package__}.{arguments[0]}.__main__").main(arguments[1:])
    return outcome or 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
