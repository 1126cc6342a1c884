"""Writes the parts of these pages that are made from something else: the contract, the commands, the counts.

A part stands in its page between `<!-- made by make docs: NAME -->` and `<!-- end -->`; the rest is written by hand.
"""

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from docs import costs
from docs.api_reference import api_reference
from docs.cli_reference import cli_reference
from lab.bench import capacity
from task_scheduler.api.routes import openapi
from task_scheduler.cli.main import app

DOCS: Final = Path(__file__).resolve().parent

PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "api": lambda: api_reference(openapi()),
    "cli": lambda: cli_reference(app),
    "costs": costs.million_table,
    "cost-extras": costs.extras_table,
    "cost-example": costs.example_table,
    "cost-idle": costs.idle_table,
    "cost-offers": costs.offers_table,
    "cost-prices": costs.prices_table,
    "scale-quotas": capacity.quotas_table,
    "scale-limits": capacity.rates_table,
    "scale-sizes": capacity.sizes_table,
    "scale-ahead": capacity.horizons_table,
    "scale-crowds": capacity.crowds_table,
}

_PART: Final = re.compile(
    r"(?P<begin><!-- made by make docs: (?P<name>[a-z-]+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL
)


def regenerated(page: str) -> str:
    """Return a page with its parts made anew; raises KeyError for a part that nobody makes."""

    def make(part: re.Match[str]) -> str:
        return f"{part['begin']}\n{PARTS[part['name']]().strip()}\n\n{part['end']}"

    return _PART.sub(make, page)


def parts_of(page: str) -> list[str]:
    """Return the names of the parts of a page."""
    return [part["name"] for part in _PART.finditer(page)]


def main(argv: list[str]) -> int:
    """Write the pages, or with --check only tell whether one would change."""
    stale = [page for page in sorted(DOCS.glob("*.md")) if regenerated(page.read_text()) != page.read_text()]
    for page in stale:
        if "--check" in argv:
            print(f"docs/{page.name} is not what `make docs` writes.", file=sys.stderr)
        else:
            page.write_text(regenerated(page.read_text()))
            print(f"Wrote docs/{page.name}.")
    return 1 if stale and "--check" in argv else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
