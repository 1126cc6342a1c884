"""The pages and their files: what is served is what ships, under the strictest policy that they work with."""

import re
from pathlib import Path
from typing import Final
from zipfile import ZipFile

import pytest
from flit_core import buildapi  # type: ignore[import-untyped]  # it comes without types

from task_scheduler.api.apigateway import Handler, handler
from task_scheduler.api.app import Api
from task_scheduler.api.routes import Context
from task_scheduler.api.static import ASSETS
from tests.support.memory_engine import memory_engine
from tests.unit.test_gateway import proxied

ROOT: Final = Path(__file__).resolve().parents[2]
CONSOLE: Final = ROOT / "task_scheduler/api/console"
VIEWER: Final = ROOT / "node_modules/swagger-ui-dist"
PAGES: Final = {"/": "index.html", "/docs": "docs.html"}
COPIES: Final = {
    "swagger-ui-bundle.js": "swagger-ui-bundle.js",
    "swagger-ui-bundle.js.LICENSE.txt": "swagger-ui-bundle.js.LICENSE.txt",
    "swagger-ui.css": "swagger-ui.css",
    "swagger-ui-LICENSE.txt": "LICENSE",
    "swagger-ui-NOTICE.txt": "NOTICE",
}
OURS: Final = sorted(file for file in CONSOLE.iterdir() if file.is_file())


@pytest.fixture
def call() -> Handler:
    return handler(Api(Context(memory_engine(), streams=False), secrets=lambda: ["a secret"]))


def test_every_file_is_served_and_every_name_is_a_file() -> None:
    assert {*ASSETS, *PAGES.values()} == {file.name for file in CONSOLE.rglob("*") if file.is_file()}


def test_the_wheel_carries_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with ZipFile(tmp_path / buildapi.build_wheel(str(tmp_path))) as wheel:
        carried = {Path(name).name for name in wheel.namelist() if "/api/console/" in name}
    assert carried == {*ASSETS, *PAGES.values()}


@pytest.mark.parametrize("name", COPIES)
def test_the_viewer_is_the_one_that_package_json_pins(name: str) -> None:
    assert (CONSOLE / "vendor" / name).read_bytes() == (VIEWER / COPIES[name]).read_bytes()


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.name)
def test_a_file_of_ours_is_short_and_builds_no_markup_of_text(file: Path) -> None:
    text = file.read_text()
    if file.suffix == ".js":
        assert len(text.splitlines()) < 400
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\(|new Function", text)
    assert not re.search(r"\bstyle=|\son[a-z]+=\"|<script>|javascript:", text)


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.name)
def test_a_file_of_ours_names_no_other_host(file: Path) -> None:
    addresses = re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]+[^\s\"']*", file.read_text())
    assert set(addresses) <= {"http://www.w3.org/2000/svg"}  # a name, which nobody fetches


@pytest.mark.parametrize("page", PAGES.values())
def test_every_link_of_a_page_is_relative_and_leads_to_something(page: str) -> None:
    links = re.findall(r"(?:href|src)=\"([^\"#]+)\"", (CONSOLE / page).read_text())
    assert links
    for link in links:
        assert link.removeprefix("assets/") in ASSETS or link in {"./", "docs", "openapi.json"}


def test_the_console_loads_all_of_its_modules_ahead() -> None:
    """Else each would be asked for only when the one that imports it was there."""
    page = (CONSOLE / "index.html").read_text()
    ahead = set(re.findall(r"modulepreload\" href=\"assets/([a-z]+\.js)", page))
    imported = {
        name
        for file in OURS
        if file.suffix == ".js"
        for name in re.findall(r"from \"\./([a-z]+\.js)", file.read_text())
    }
    assert ahead == imported


def test_without_a_slash_at_its_end_the_console_says_where_its_files_are(call: Handler) -> None:
    event = proxied("GET", "/", headers={})
    for seen, start in (
        ("/v1", "/v1/"),
        ("/a/base/path", "/a/base/path/"),
        ("//else.example", "/else.example/"),
        ('/"><script>', "/&quot;&gt;&lt;script&gt;/"),
    ):
        event["requestContext"]["path"] = seen
        found = call(event, None)
        assert found["statusCode"] == 200
        assert f'<head>\n  <base href="{start}">' in found["body"]
        assert "base-uri 'self'" in found["multiValueHeaders"]["content-security-policy"][0]
    event["requestContext"]["path"] = "/v1/"
    found = call(event, None)
    assert "<base" not in found["body"]
    assert "base-uri 'none'" in found["multiValueHeaders"]["content-security-policy"][0]
