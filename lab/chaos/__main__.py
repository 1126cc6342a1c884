"""`python -m lab.chaos`: one driver, or both in turn where none is named."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Final, Protocol, cast

_DRIVERS: Final = {"local": "the local engine", "aws": "the AWS engine, in the emulator"}


class Driver(Protocol):
    """What the module of a driver has."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Say what can be given to it."""

    def run(self, given: argparse.Namespace) -> bool:
        """Run it and print what was found; returns whether every promise was kept."""


def main(arguments: Sequence[str]) -> int:
    """Return 0 if every promise was kept, 1 if not."""
    wanted = [name for name in _DRIVERS if name in arguments[:1]] or list(_DRIVERS)
    parser = argparse.ArgumentParser(prog="python -m lab chaos", description=__doc__)
    commands = parser.add_subparsers(dest="driver")
    for name, what in _DRIVERS.items():
        command = commands.add_parser(name, help=f"breaks {what}")
        if name in wanted:
            _driver(name).add_arguments(command)
    if len(wanted) == 1:
        return 0 if _driver(wanted[0]).run(parser.parse_args(arguments)) else 1
    parser.parse_args(arguments)
    outcomes = [_driver(name).run(parser.parse_args([name])) for name in wanted]
    return 0 if all(outcomes) else 1


def _driver(name: str) -> Driver:
    return cast("Driver", importlib.import_module(f"{__package__}.{name}.driver"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
