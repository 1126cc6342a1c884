"""`python -m lab chaos [local|aws]`: one driver, or both in turn where none is named."""

import argparse
import importlib
from collections.abc import Sequence
from typing import Final

_DRIVERS: Final = {"local": "the local engine", "aws": "the AWS engine, in the emulator"}


def main(arguments: Sequence[str]) -> int:
    """Return 0 if no run violated anything, 1 if one did."""
    wanted = [name for name in _DRIVERS if name in arguments[:1]] or list(_DRIVERS)
    drivers = {
        name: importlib.import_module(f"lab.chaos.{name}.driver") for name in wanted
    }  # the emulator loads slowly
    parser = argparse.ArgumentParser(prog="python -m lab chaos", description=__doc__)
    commands = parser.add_subparsers(dest="driver")
    for name, what in _DRIVERS.items():
        command = commands.add_parser(name, help=f"breaks {what}")
        if name in wanted:
            drivers[name].add_arguments(command)
    parser.parse_args(arguments)
    given = [arguments] if len(wanted) == 1 else [[name] for name in wanted]
    outcomes = [drivers[name].run(parser.parse_args(each)) for name, each in zip(wanted, given, strict=True)]
    return 0 if all(outcomes) else 1
