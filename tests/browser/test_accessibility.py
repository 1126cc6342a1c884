"""For everybody: by keyboard alone, on a phone, in the dark, and nothing for axe-core to find."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.console import Service, coming, emitted, violations
from tests.support.clock import eventually

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
LONG = "no-space-to-break-at-" * 20


@pytest.fixture
def busy(service: Service) -> Service:
    """A service with tasks of every kind."""
    service.schedule("a text", tags={"user": "42", "team": "red"})
    service.schedule({"name": "Luke", LONG: LONG}, after="9d", tags={"long": LONG[:256]})
    service.schedule("waits for minutes", after="5m")
    service.schedule(LONG, after=0)
    eventually(lambda: LONG in service.client.get("/events?before=99999999&limit=1").text)
    return service


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def tab_to(page: Page, is_there: Callable[[Page], bool]) -> None:
    """Press Tab until what is looked for has the focus, and see that the focus can be seen on the way."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if is_there(page):
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
            return
    raise AssertionError("it cannot be reached by Tab")


def focused(page: Page) -> str:
    """Return the text of what has the focus."""
    return str(page.evaluate("document.activeElement.innerText || document.activeElement.name"))


def test_a_message_is_scheduled_and_cancelled_by_keyboard_alone(visit: Visit, service: Service) -> None:
    page = visit(service.url)
    expect(page.locator("#state")).to_have_text("Live")
    press(page, "Tab")
    assert focused(page) == "Skip to what is coming"
    tab_to(page, lambda page: focused(page) == "count")
    press(page, "Control+A", "7", "Tab", "ArrowDown")
    tab_to(page, lambda page: focused(page) == "message")
    page.keyboard.type("by hand")
    tab_to(page, lambda page: focused(page) == "Schedule")
    press(page, "Enter")
    expect(coming(page, "by hand")).to_contain_text(re.compile(r"in (7 h|6 h 59 min)"))
    tab_to(page, lambda page: focused(page) == "by hand")
    press(page, "Enter")
    expect(page.get_by_role("dialog")).to_contain_text("by hand")
    tab_to(page, lambda page: focused(page) == "Cancel this task")
    press(page, "Enter")
    assert focused(page) == "No, keep it"
    press(page, "Shift+Tab", "Enter")
    expect(page.locator("#detail-status")).to_have_text("Cancelled: it will not be emitted.")
    press(page, "Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(coming(page)).to_have_count(0)
    assert service.scheduled() == []


def test_the_empty_page_has_no_violation(visit: Visit, service: Service) -> None:
    page = visit(service.url)
    expect(page.locator("#tasks-empty")).to_contain_text("Nothing is scheduled.")
    expect(page.locator("footer")).to_contain_text(service.client.get("/health").json()["version"])
    assert violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_full_page_and_its_dialogs_have_no_violation(visit: Visit, busy: Service, scheme: str) -> None:
    page = visit(busy.url, color_scheme=scheme)
    expect(coming(page)).to_have_count(3)
    expect(emitted(page).first).to_be_visible()
    for summary in ("Show as a table", "Search"):
        page.locator("summary", has_text=summary).click()
    page.get_by_role("button", name="Add a tag").click()
    page.locator("#schedule").get_by_label("at a time").check()
    page.locator("#schedule").get_by_role("button", name="Schedule").click()
    expect(page.locator("#schedule-problem")).to_be_visible()
    assert violations(page) == []
    page.evaluate("document.getElementById('banner').hidden = false")
    assert violations(page) == []
    coming(page, "a text").get_by_role("link").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("user: 42")
    dialog.get_by_label("another time").check()
    dialog.get_by_label("another message").check()
    dialog.get_by_role("button", name="Cancel this task").click()
    assert violations(page) == []
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(16, 20, 27)") is (scheme == "dark")


def test_on_a_phone_everything_fits_and_has_no_violation(visit: Visit, busy: Service) -> None:
    page = visit(busy.url, **PHONE)
    expect(coming(page)).to_have_count(3)
    page.locator("summary", has_text="Schedule a message").click()
    page.get_by_role("button", name="Add a tag").click()
    for summary in ("Show as a table", "Search"):
        page.locator("summary", has_text=summary).click()
    assert fits(page)
    assert violations(page) == []
    coming(page, "Luke").get_by_role("link").click()
    expect(page.get_by_role("dialog")).to_contain_text("Luke")
    page.get_by_role("dialog").get_by_label("another time").check()
    assert fits(page)
    assert page.get_by_role("dialog").evaluate("dialog => dialog.scrollWidth <= dialog.clientWidth")
    assert violations(page) == []


def test_text_twice_as_large_still_fits(visit: Visit, busy: Service) -> None:
    page = visit(busy.url, viewport={"width": 640, "height": 800})
    expect(coming(page)).to_have_count(3)
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert fits(page)


def fits(page: Page) -> bool:
    """Whether nothing makes the page scroll sideways."""
    return bool(page.evaluate("document.scrollingElement.scrollWidth <= innerWidth"))
