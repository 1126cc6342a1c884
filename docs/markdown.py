"""Markdown tables, for the modules that generate parts of these pages."""

import re
from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table; bars inside cells are escaped, and a cell becomes one line."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: object) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(str(value).split()))
