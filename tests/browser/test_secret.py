"""The secret: asked for once, kept for the tab, never in an address."""

from pathlib import Path

import httpx
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.console import SECRET, Service, coming, emitted, form, schedule_by_form, violations
from tests.support.local_server import LocalServer


def give(page: Page, secret: str) -> None:
    """Answer the page's question."""
    page.get_by_label("Secret", exact=True).fill(secret)
    page.get_by_role("button", name="Go on").click()


def test_it_is_asked_for_until_it_is_right_and_kept_for_the_tab(visit: Visit, requires_secret: Service) -> None:
    requires_secret.schedule("guarded message")
    page = visit(requires_secret.url)
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    dialog = page.get_by_role("dialog", name="This service requires a secret")
    expect(dialog).to_be_visible()
    expect(coming(page)).to_have_count(0)
    assert violations(page) == []
    for wrong, words in (("", "Enter the secret."), ("wrong", "not the secret"), ("wröng", "ASCII")):
        give(page, wrong)
        expect(dialog.get_by_role("alert")).to_contain_text(words)
        expect(dialog.get_by_label("Secret", exact=True)).to_be_focused()
    give(page, SECRET)
    expect(dialog).to_be_hidden()
    expect(coming(page, "guarded message")).to_be_visible()
    requires_secret.schedule("by the stream", after=0)
    expect(emitted(page, "by the stream").first).to_be_visible()
    page.reload()
    expect(coming(page, "guarded message")).to_be_visible()
    expect(dialog).to_be_hidden()
    assert addresses
    assert not any("correct" in address or "wrong" in address for address in addresses)
    assert page.evaluate("Object.values(sessionStorage)") == [SECRET]
    assert page.evaluate("Object.values(localStorage)") == []
    assert page.evaluate("document.cookie") == ""
    assert SECRET not in page.content()


def test_another_tab_does_not_know_it(visit: Visit, requires_secret: Service) -> None:
    give(visit(requires_secret.url), SECRET)
    other = visit(requires_secret.url)
    expect(other.get_by_role("dialog")).to_be_visible()


def test_it_is_forgotten_on_request(visit: Visit, requires_secret: Service) -> None:
    requires_secret.schedule("soon unseen")
    page = visit(requires_secret.url)
    give(page, SECRET)
    expect(coming(page, "soon unseen").first).to_be_visible()
    page.get_by_role("button", name="Forget secret").click()
    expect(coming(page)).to_have_count(0)
    expect(emitted(page)).to_have_count(0)
    expect(page.locator("#state")).to_have_text("Locked")
    assert page.evaluate("sessionStorage.length") == 0
    page.get_by_role("button", name="Enter secret").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    give(page, SECRET)
    expect(coming(page, "soon unseen").first).to_be_visible()


def test_who_does_not_give_it_is_left_alone_and_told_what_to_do(visit: Visit, requires_secret: Service) -> None:
    page = visit(requires_secret.url)
    page.get_by_role("button", name="Not now").click()
    expect(page.locator("#tasks-empty")).to_have_text("Nothing is shown without the secret.")
    schedule_by_form(page, "hello")
    expect(page.locator("#schedule-problem")).to_contain_text("Enter it with the button")
    page.get_by_role("button", name="Enter secret").click()
    give(page, SECRET)
    form(page).get_by_role("button", name="Schedule").click()
    expect(page.locator("#schedule-status")).to_contain_text("Scheduled for ")


def test_a_secret_that_was_changed_is_asked_for_again(visit: Visit, tmp_path: Path) -> None:
    with LocalServer(tmp_path / "tasks.db", secret="the old one") as server:  # noqa: S106 - it guards nothing
        page = visit(server.url)
        give(page, "the old one")
        expect(page.locator("#state")).to_have_text("Live")
        server.stop()
        port = httpx.URL(server.url).port or 0
        with LocalServer(tmp_path / "tasks.db", secret="the new one", port=port):  # noqa: S106 - it guards nothing
            expect(page.get_by_role("dialog")).to_contain_text("no longer right")
            give(page, "the new one")
            expect(page.locator("#state")).to_have_text("Live")
