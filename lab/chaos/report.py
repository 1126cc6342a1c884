"""Prints what a driver did and what it found."""

import sys
from collections.abc import Mapping, Sequence
from typing import Final

from lab.chaos.account import Account
from lab.chaos.ledger import Ledger

_MOST: Final = 50  # violations in words; the rest are counted


def report(ledger: Ledger, account: Account, *, done: Mapping[str, object], again: str) -> bool:
    """Print what was done and found, and `again`, the command that does it again; return whether all is well."""
    lines = [*_table(done), "", *_answers(ledger), "", account.sum]
    if account.violations:
        lines += ["", f"{len(account.violations)} violations:", *(f"  {line}" for line in account.violations[:_MOST])]
        lines += [f"  and {len(account.violations) - _MOST} more"] if len(account.violations) > _MOST else []
    else:
        lines.append("None lost, none early, none twice, none after its cancellation was confirmed.")
    say(*lines, f"The same faults again: {again}")
    return not account.violations


def say(*lines: str) -> None:
    """Print lines at once, for whoever waits."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def _table(done: Mapping[str, object]) -> Sequence[str]:
    width = max(map(len, done))
    return [f"{name:{width}}  {value}" for name, value in done.items()]


def _answers(ledger: Ledger) -> Sequence[str]:
    operations = sorted({operation for operation, _ in ledger.answers})
    width = max(map(len, operations), default=0)
    return [
        f"{operation:{width}}  "
        + ", ".join(f"{answer} {count}" for (of, answer), count in sorted(ledger.answers.items()) if of == operation)
        for operation in operations
    ]
