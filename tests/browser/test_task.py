"""One task in its dialog: all of it, changed, cancelled, too late, and by its address."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.console import Service, coming, emitted
from tests.support.clock import eventually

UNKNOWN = "b71f0ac2-0000-4000-8000-000000000000"


def open_task(page: Page, text: str) -> None:
    """Open the dialog of a task in the list."""
    coming(page, text).get_by_role("link").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def cancel(page: Page) -> None:
    """Cancel the task of the dialog, and confirm it."""
    page.get_by_role("button", name="Cancel this task").click()
    expect(page.get_by_role("button", name="No, keep it")).to_be_focused()
    page.get_by_role("button", name="Yes, cancel it").click()


def test_all_of_a_task_is_shown_and_has_an_address(visit: Visit, service: Service) -> None:
    task_id = service.schedule({"name": "Luke"}, tags={"user": "42"}, cup={"size": 2})
    page = visit(service.url)
    open_task(page, "Luke")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("region", name="Message")).to_have_text('{\n  "name": "Luke"\n}')
    expect(dialog.get_by_role("region", name="Other fields")).to_have_text('{\n  "cup": {\n    "size": 2\n  }\n}')
    expect(dialog).to_contain_text("user: 42")
    expect(dialog).to_contain_text(re.compile(r"in (1 h|59 min)"))
    expect(page).to_have_url(re.compile(f"#task={task_id}$"))
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page).not_to_have_url(re.compile("#"))
    expect(coming(page, "Luke").get_by_role("link")).to_be_focused()
    page.go_back()
    expect(dialog).to_contain_text(task_id)
    again = visit(page.url)
    expect(again.get_by_role("dialog")).to_contain_text(task_id)


def test_its_id_is_copied(visit: Visit, service: Service) -> None:
    task_id = service.schedule("copy me")
    page = visit(service.url, permissions=["clipboard-read", "clipboard-write"])
    open_task(page, "copy me")
    page.get_by_role("button", name="Copy id").click()
    expect(page.locator("#detail-status")).to_have_text("The id is copied.")
    assert page.evaluate("navigator.clipboard.readText()") == task_id


def test_an_id_that_nobody_has_is_said_in_words(visit: Visit, service: Service) -> None:
    page = visit(f"{service.url}/#task={UNKNOWN}")
    expect(page.get_by_role("dialog")).to_contain_text("No task has the id")
    expect(page.get_by_role("dialog")).to_contain_text("stored for 30 days")
    expect(page.get_by_role("button", name="Cancel this task")).to_be_hidden()


def test_a_task_gets_another_time_and_another_message(visit: Visit, service: Service) -> None:
    task_id = service.schedule("before", after="1h")
    page = visit(service.url, timezone_id="Asia/Kolkata")
    open_task(page, "before")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Save the change").click()
    expect(dialog.locator("#reschedule-problem")).to_contain_text("Choose what to change")
    dialog.get_by_label("another time").check()
    dialog.get_by_label("at a time").check()
    dialog.get_by_label("Date and time").fill("2032-02-29T12:00:00")
    dialog.get_by_label("another message").check()
    expect(dialog.get_by_label("Message", exact=True).and_(page.locator("textarea"))).to_have_value("before")
    dialog.locator("textarea").fill("after")
    dialog.get_by_role("button", name="Save the change").click()
    expect(dialog.locator("#detail-status")).to_contain_text("Changed: it is due Sunday")
    dialog.get_by_role("button", name="Close").click()
    expect(coming(page, "after").locator("time")).to_have_attribute("datetime", "2032-02-29T06:30:00.000Z")
    assert service.task(task_id)["message"] == "after"


def test_a_task_is_brought_forward_by_a_delay(visit: Visit, service: Service) -> None:
    service.schedule("sooner", after="9d")
    page = visit(service.url)
    open_task(page, "sooner")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("another time").check()
    dialog.get_by_label("In", exact=True).fill("0")
    dialog.get_by_role("button", name="Save the change").click()
    expect(page.get_by_role("heading", name="A task that is emitted")).to_be_visible()
    expect(dialog.get_by_role("button", name="Save the change")).to_be_hidden()
    expect(emitted(page, "sooner")).to_have_count(1)


def test_a_task_is_cancelled_after_a_second_word(visit: Visit, service: Service) -> None:
    task_id = service.schedule("perhaps")
    page = visit(service.url)
    open_task(page, "perhaps")
    page.get_by_role("button", name="Cancel this task").click()
    page.get_by_role("button", name="No, keep it").click()
    assert service.task(task_id)["status"] == "scheduled"
    cancel(page)
    expect(page.locator("#detail-status")).to_have_text("Cancelled: it will not be emitted.")
    assert service.task(task_id)["status"] == "cancelled"
    page.keyboard.press("Escape")
    expect(coming(page)).to_have_count(0)
    expect(page.get_by_role("heading", name="Coming up")).to_be_focused()


def test_what_was_emitted_meanwhile_is_told_and_not_cancelled(visit: Visit, service: Service) -> None:
    task_id = service.schedule("gone")
    page = visit(service.url)
    page.route("**/events", lambda route: route.abort())  # so that only the answer can tell
    page.reload()
    open_task(page, "gone")
    service.client.patch(f"/tasks/{task_id}", json={"in": 0}).raise_for_status()
    eventually(lambda: service.task(task_id)["status"] == "emitted")
    cancel(page)
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("#detail-problem")).to_contain_text("already emitted")
    expect(dialog.get_by_role("heading", name="A task that is emitted")).to_be_visible()
