"""What the documents say is so: routes, options, verbs, settings, limits and links."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
import typer.main

from stacks.settings import Settings
from task_scheduler.cli import app
from task_scheduler.http.routes import MAX_BATCH, ROUTES
from task_scheduler.task import MAX_DEPTH, MAX_EVENT_BYTES, MAX_QUOTED_EVENT_BYTES, MAX_TAGS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
LOCAL = (ROOT / "docs/local.md").read_text()
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("path", ROUTES)
def test_the_readme_names_every_route(path: str) -> None:
    for method in ROUTES[path]:
        assert f"`{method} {path}`" in README or (f"`{method}`" in README and f" {path}`" in README)


def test_the_readme_names_no_route_that_is_not_there() -> None:
    named = set(re.findall(r"`(?:GET|POST|PATCH|DELETE) (/[^`?]*)`", README))
    assert named <= {*ROUTES, "/metrics", "/clock"}


def test_every_option_of_serve_and_its_variable_are_documented() -> None:
    for parameter in typer.main.get_group(app).commands["serve"].params:
        (option,) = parameter.opts
        assert f"| `{option}` |" in LOCAL
        if parameter.envvar:
            assert f"`{parameter.envvar}`" in LOCAL


def test_every_verb_that_a_document_tells_to_make_is_there() -> None:
    verbs = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in DOCUMENTS:
        told = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", document.read_text()))
        assert told <= verbs, document.name


def test_every_setting_that_a_document_tells_is_there() -> None:
    known = {field.name for field in fields(Settings)}
    for document in DOCUMENTS:
        told = set(re.findall(r"scheduler:([a-z_]+)", document.read_text()))
        assert told <= known, document.name


def test_the_limits_in_the_readme_are_those_in_the_code() -> None:
    for limit in (f"{MAX_EVENT_BYTES:,}", f"{MAX_QUOTED_EVENT_BYTES:,}", f"| {MAX_DEPTH} |", f"up to {MAX_BATCH}:"):
        assert limit in README
    assert f"Up to {MAX_TAGS} `tags`" in README


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_file_leads_to_one(document: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if "://" not in link:
            assert (document.parent / link).exists(), link


def test_the_readme_stays_short() -> None:
    assert len(README.splitlines()) < 200
