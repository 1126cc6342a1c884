"""The documents agree with the code (routes, options, settings, metrics, limits, commands), and the site builds."""

import re
import shutil
import subprocess
import sys
from dataclasses import fields
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click
import pytest
from standardwebhooks import Webhook

from docs.costs import idle_parts
from docs.generate import PARTS, collect, parts_of, regenerated
from lab.bench.cost import Cost, dollars, million
from stacks.settings import Settings
from task_scheduler import timestamps
from task_scheduler.api.routes import ROUTES
from task_scheduler.aws.sweeper import Sweep
from task_scheduler.cli.main import app
from task_scheduler.contract import MAX_BATCH
from task_scheduler.local.metrics import PrometheusMetrics
from task_scheduler.metrics import Metric
from task_scheduler.task import MAX_DEPTH, MAX_EVENT_BYTES, MAX_QUOTED_EVENT_BYTES, MAX_TAGS, new_task
from tests.unit.documents import CHECKS, DOCUMENTS, ROOT, blocks, matches, requests

README = (ROOT / "README.md").read_text()
LOCAL = (ROOT / "docs/local.md").read_text()
AWS = (ROOT / "docs/aws.md").read_text()
COMPARISON = (ROOT / "docs/comparison.md").read_text()
TIME_ZONES = (ROOT / "docs/time-zones.md").read_text()


def rows(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table under a heading, but for its head."""
    section = re.split(rf"^#+ {re.escape(heading)}$", text, flags=re.MULTILINE)[1]
    table = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert table
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table.group().splitlines()[2:]]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
@pytest.mark.parametrize("check", CHECKS)
def test_what_a_document_says_is_so(check: str, document: Path) -> None:
    assert not CHECKS[check](document.read_text(), document)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_generated_tables_are_those_that_make_docs_writes(document: Path) -> None:
    assert regenerated(document.read_text()) == document.read_text(), "run: make docs"


def test_each_generated_table_is_in_one_document() -> None:
    found = [name for document in DOCUMENTS for name in parts_of(document.read_text())]
    assert sorted(found) == sorted(PARTS)


@pytest.mark.parametrize("path", ROUTES)
def test_the_readme_names_every_route(path: str) -> None:
    for method in ROUTES[path]:
        assert f"`{method} {path}`" in README or (f"`{method}`" in README and f" {path}`" in README)


def test_the_page_of_the_api_calls_every_route() -> None:
    shown = [*requests((ROOT / "docs/api.md").read_text())]
    for path, methods in ROUTES.items():
        for method in methods:
            assert any(method == given and matches(called, path) for given, called in shown), f"{method} {path}"


def test_every_option_of_serve_and_its_variable_are_documented() -> None:
    serve = app.get_command(click.Context(app), "serve")
    assert serve
    for parameter in serve.params:
        (option,) = parameter.opts
        assert f"| `{option}` |" in LOCAL
        if parameter.envvar:
            assert f"`{parameter.envvar}`" in LOCAL


def test_the_table_of_settings_is_that_of_the_code() -> None:
    table = {name.strip("`"): (default.strip("`"), bounds) for name, default, bounds, _ in rows(AWS, "Settings")}
    assert list(table) == [field.name for field in fields(Settings)]
    for setting in fields(Settings):
        default, bounds = table[setting.name]
        parse = setting.metadata["parse"]
        assert (default == "none") is (setting.default in {None, ()})
        assert default == "none" or parse(default) == setting.default
        if limits := re.fullmatch(r"(\d+) to (\d+)", bounds):
            low, high = map(int, limits.groups())
            assert [parse(low), parse(high)] == [low, high]
            for beyond in (low - 1, high + 1):
                with pytest.raises(ValueError, match="must"):
                    parse(beyond)


def test_the_metrics_of_the_aws_engine_are_those_in_the_code() -> None:
    named = {name.strip("`") for name, _ in rows(AWS, "Metrics and the dashboard")}
    assert named == Sweep().counts().keys() | set(Metric)


def test_the_metrics_of_the_local_engine_are_those_in_the_code() -> None:
    exposed = {
        line.split()[2] for line in PrometheusMetrics().exposition().decode().splitlines() if line.startswith("# TYPE")
    }
    named = {name.strip("`") for names, _ in rows(LOCAL, "Metrics") for name in names.split(", ")}
    assert named == {name for name in exposed if not name.endswith("_created")}


@pytest.mark.parametrize(("written", "zone", "instant"), [row[:3] for row in rows(TIME_ZONES, "Gaps and folds")])
def test_the_wall_clock_times_are_worked_out_as_the_page_says(written: str, zone: str, instant: str) -> None:
    body = {"timestamp": written.strip("`"), "timezone": zone.strip("`"), "message": "ring"}
    now_ms = timestamps.parse("2026-09-01")
    task = new_task(body, task_id="7212730d-85ba-4037-a648-b77db15ff8b1", now_ms=now_ms)
    assert f"`{timestamps.format(task.due_ms)}`" == instant


def test_the_receiver_of_webhooks_in_the_page_verifies() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - the example of Standard Webhooks
    scope: dict[str, object] = {}
    [block] = blocks(LOCAL, "python")
    exec(block, scope)  # noqa: S102 - our own page
    receive = scope["receive"]
    assert callable(receive)
    at = datetime.now(UTC)
    headers = {
        "webhook-id": "1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign("1", at, '{"message":1}'),
    }
    assert receive(b'{"message":1}', headers, secret) == {"message": 1}


def test_the_pages_that_name_the_cost_have_the_one_that_was_counted() -> None:
    cost = str(round(million(Cost().emitted())))
    assert re.findall(r"\$(\d+)(?= for a million on AWS|, \[counted\])", COMPARISON) == [cost] * 2
    assert f"About ${cost} for a million tasks" in AWS
    assert re.search(rf"For a million tasks with small messages, about {cost} US dollars", README)


def test_the_pages_that_name_the_cost_of_an_idle_deployment_have_the_one_that_was_counted() -> None:
    total = f"{sum(dollars(usage) for _, usage, _ in idle_parts()):.2f}"
    least = f"{sum(dollars(usage) for _, usage, free in idle_parts() if not free):.2f}"
    assert f"costs ${least} a month in an account that uses nothing else" in README
    assert f"when nothing happens, ${least} a month" in AWS
    assert f"\nis ${least} a month" in (ROOT / "docs/costs.md").read_text()
    assert f"at most ${total} where" in README
    assert f"and ${total} in an account" in AWS
    listener = round(dollars(Cost().listener()))
    assert f"about ${listener}." in README
    assert f"${listener} a month for each listener" in AWS


def test_the_limits_in_the_readme_are_those_in_the_code() -> None:
    for limit in (f"{MAX_EVENT_BYTES:,}", f"{MAX_QUOTED_EVENT_BYTES:,}", f"| {MAX_DEPTH} |", f"up to {MAX_BATCH}:"):
        assert limit in README
    assert f"Up to {MAX_TAGS} `tags`" in README


class Links(HTMLParser):
    """Collects the links of a page, and the files that it loads."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.followed: set[str] = set()
        self.loaded: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"href", "src"} and value is not None:
                (self.followed if tag == "a" else self.loaded).add(value)


@pytest.mark.slow
def test_the_site_builds_in_strict_mode_and_loads_nothing_from_other_hosts(tmp_path: Path) -> None:
    """Strict mode checks links to pages and anchors; this checks links to other files, and the navigation."""
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    collect(tmp_path / "build" / "pages")
    built = subprocess.run(  # noqa: S603 - our own tools
        [Path(sys.executable).with_name("zensical"), "build", "--strict"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    site = tmp_path / "build" / "site"
    pages = {page: Links(page.read_text()) for page in site.rglob("*.html") if page.name != "404.html"}
    for page, links in pages.items():
        for url in map(urlsplit, links.followed | links.loaded):
            if url.scheme or url.netloc:
                assert url.geturl() not in links.loaded, page
                assert url.scheme == "https" or url.hostname == "127.0.0.1", page
            else:
                assert (page.parent / unquote(url.path)).exists(), f"{page}: {url.geturl()}"
    start = {(site / link.partition("#")[0]).resolve() for link in pages[site / "index.html"].followed}
    assert {page for page in pages if not {page, page.parent} & start} == set(), "not in the navigation of mkdocs.yml"


def test_the_readme_stays_short() -> None:
    assert len(README.splitlines()) < 200
