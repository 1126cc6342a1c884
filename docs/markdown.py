"""The little Markdown that the makers of pages share: tables, code, and the anchors that headings get."""

import re
from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table; a bar inside a cell would end it, and so would a line."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def anchor(heading: str) -> str:
    """Return the anchor that GitHub gives to a heading: lower case, no punctuation, a hyphen for each space."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def link(heading: str, *, shown: str = "") -> str:
    """Return a link to a heading of the same page."""
    return f"[{shown or heading}](#{anchor(heading)})"


def _cell(value: object) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(str(value).split()))
