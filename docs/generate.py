"""Writes the generated tables into these pages, and collects in build/pages what the site is built from.

A generated table is in its page between `<!-- made by make docs: NAME -->` and `<!-- end -->`. The references of the
command line and the client are on the site only: a page marks the place of each by `<!-- on the site: NAME -->`.
"""

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import click

from docs import costs
from lab.bench import capacity
from task_scheduler.cli.main import PROGRAM, app

ROOT: Final = Path(__file__).resolve().parents[1]

PARTS: Final[Mapping[str, Callable[[], str]]] = {
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

# The site has the layout of the repository, so that the same links work in both.
_SITE: Final = (
    "*.md",
    "LICENSE",
    "deployment.example.toml",
    "iam-policy.json",
    "docs/*.html",
    "docs/*.md",
    "docs/images/*",
    "examples/**/*.*",
    "task_scheduler/api/openapi.json",
    "task_scheduler/api/console/docs.css",
    "task_scheduler/api/console/vendor/*",
    "node_modules/@mermaid-js/tiny/dist/mermaid.tiny.js",
)
_PART: Final = re.compile(
    r"(?P<begin><!-- made by make docs: (?P<name>[a-z-]+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL
)


def regenerated(page: str) -> str:
    """Return a page with its tables generated again; raises KeyError for an unknown name."""

    def make(part: re.Match[str]) -> str:
        return f"{part['begin']}\n{PARTS[part['name']]().strip()}\n\n{part['end']}"

    return _PART.sub(make, page)


def parts_of(page: str) -> list[str]:
    """Return the names of the generated tables of a page."""
    return [part["name"] for part in _PART.finditer(page)]


def collect(folder: Path) -> None:
    """Copy the pages, with their references, and the files that they link to."""
    for source in (file for pattern in _SITE for file in ROOT.glob(pattern)):
        target = folder / source.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".md":
            target.write_text(_with_references(source.read_text()))
        elif source.is_file() and source.suffix != ".pyc":
            shutil.copyfile(source, target)


def _with_references(page: str) -> str:
    page = page.replace("<!-- on the site: commands -->", _commands())
    return page.replace("<!-- on the site: client -->", "::: task_scheduler.client")  # for mkdocstrings


def _commands() -> str:
    """Return the help of each command, as Click prints it."""
    context = click.Context(app, info_name=PROGRAM)
    sections = [("Before the command", app.get_help(context))]
    for name in app.list_commands(context):
        command = app.get_command(context, name)
        if command and not command.hidden:
            text = command.get_help(click.Context(command, parent=context, info_name=name))
            sections.append((f"{PROGRAM} {name}", text))
    return "\n\n".join(f"### {heading}\n\n```text\n{text}\n```" for heading, text in sections)


def main() -> None:
    """Write the tables, and collect the pages."""
    for page in sorted(ROOT.glob("docs/*.md")):
        text = page.read_text()
        if regenerated(text) != text:
            page.write_text(regenerated(text))
            print(f"Wrote docs/{page.name}.")
    pages = ROOT / "build" / "pages"
    shutil.rmtree(pages, ignore_errors=True)
    collect(pages)


if __name__ == "__main__":
    main()
