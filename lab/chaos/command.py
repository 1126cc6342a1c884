"""`python -m lab chaos [local|aws]`: one driver, or both in turn where none is named."""

import argparse
import importlib
import secrets
import sys
from collections.abc import Sequence

from lab.support.checker import check, report


def main(arguments: Sequence[str]) -> int:
    """Return 0 if no run violated anything, 1 if one did."""
    parser = _parser()
    parser.parse_args(arguments)
    return max(_run(parser.parse_args(each)) for each in ([arguments] if arguments else [["local"], ["aws"]]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab chaos", description=__doc__)
    commands = parser.add_subparsers(dest="driver")
    local = commands.add_parser("local", help="breaks the local engine")
    local.add_argument("--seconds", type=float, default=120, help="how long faults happen (default: 120)")
    local.add_argument("--every", type=float, default=2, help="seconds between two faults on average (default: 2)")
    local.add_argument("--rate", type=float, default=25, help="new tasks a second (default: 25)")
    aws = commands.add_parser("aws", help="breaks the AWS engine, in the emulator")
    aws.add_argument("--tasks", type=int, default=1000, help="how many tasks (default: 1000)")
    aws.add_argument("--rate", type=float, default=0.1, help="the part of calls to AWS that fail (default: 0.1)")
    aws.add_argument("--seconds", type=float, default=250, help="how long the run takes (default: 250)")
    for command in (local, aws):
        command.add_argument("--seed", help="requests the same tasks, and draws the same faults, as an earlier run")
    return parser


def _run(given: argparse.Namespace) -> int:
    given.seed = given.seed or secrets.token_hex(4)
    options = {name: f"{value:g}" if isinstance(value, float) else value for name, value in vars(given).items()}
    again = " ".join((options.pop("driver"), *(f"--{name} {value}" for name, value in options.items())))
    sys.stdout.write(f"make chaos ARGS='{again}'\n")
    sys.stdout.flush()
    driver = importlib.import_module(f"lab.chaos.{given.driver}.driver")  # the emulator loads slowly
    history, observed, done = driver.run(given)
    verdict = check(history, observed)
    sys.stdout.write("\n".join(report(history, verdict, done)) + "\n")
    return 1 if verdict.violations else 0
