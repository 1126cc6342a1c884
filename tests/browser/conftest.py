"""A browser, a server, and an eye on what no page may do: break its own policy, call elsewhere, fail unseen."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.browser.console import SECRET, Service
from tests.support.local_server import LocalServer

_ARGUMENTS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_TIMEOUT_MS: Final = 15_000
_ANSWERED: Final = "Failed to load resource"  # how Chromium logs a status of 400 and more, or a server that is away
_REPORT_VIOLATIONS: Final = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`Content-Security-Policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""

Visit = Callable[..., Page]

expect.set_options(timeout=_TIMEOUT_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests here need Chromium."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for each module: while it is there, an event loop runs, and other tests want one of their own."""
    name = os.environ.get("CHROMIUM", "chromium-headless-shell")
    path = shutil.which(name)
    assert path, f"The console is tested in Chromium, and {name!r} is not there: install it, or set CHROMIUM."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with (
        LocalServer(tmp_path_factory.mktemp("service") / "tasks.db") as server,
        httpx.Client(base_url=server.url) as client,
    ):
        yield Service(server.url, client)


@pytest.fixture(scope="module")
def requires_secret(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that asks for SECRET."""
    with (
        LocalServer(tmp_path_factory.mktemp("guarded") / "tasks.db", secret=SECRET) as server,
        httpx.Client(base_url=server.url, headers={"x-pd-secret": SECRET}) as client,
    ):
        yield Service(server.url, client)


@pytest.fixture
def service(shared_service: Service) -> Service:
    """A service on which nothing is scheduled."""
    shared_service.cancel_all()
    return shared_service


@pytest.fixture
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Open a page in a browser that knows nothing yet; at the end, nothing may have gone wrong behind it."""
    pages: list[Page] = []
    wrong: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(_ANSWERED):
            wrong.append(f"console: {message.text}")

    def open_page(url: str, prepare: Callable[[Page], object] = lambda _page: None, **options: Any) -> Page:  # noqa: ANN401 - what playwright's new_context takes
        context = browser.new_context(**{"locale": "en-GB", "viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(_TIMEOUT_MS)
        context.add_init_script(_REPORT_VIOLATIONS)
        page = context.new_page()
        origin = httpx.URL(url).copy_with(path="/", query=None, fragment=None)
        page.on("console", heard)
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("request", lambda sent: None if _is_at(sent.url, str(origin)) else wrong.append(f"left: {sent.url}"))
        prepare(page)
        page.goto(url)
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.context.close()
    assert not wrong, request.node.name


def _is_at(url: str, origin: str) -> bool:
    return url.startswith((origin, "data:image/svg+xml"))  # Swagger UI's style has its icons in it
