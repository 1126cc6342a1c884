"""What is coming and what was emitted: from others too, searched, page by page, with thousands waiting."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.console import Service, coming, emitted
from tests.support.clock import iso, now_ms
from tests.support.local_server import LocalServer


def search(page: Page, **fields: str) -> None:
    """Fill the form that searches, and send it."""
    details = page.locator("#search-details")
    if details.get_attribute("open") is None:
        details.locator("summary").click()
    for name, value in fields.items():
        field = page.locator(f"#search [name={name}]")
        field.select_option(value) if name == "status" else field.fill(value)
    page.locator("#search").get_by_role("button", name="Search").click()


def test_what_others_do_is_seen(visit: Visit, service: Service) -> None:
    first = service.schedule("there from the start", after="2h")
    page = visit(service.url)
    expect(coming(page)).to_have_text([re.compile("there from the start")])
    service.cancel(first)
    service.schedule("by another client", after="1h")
    service.schedule("half an hour earlier", after="30m")
    service.schedule("at once, by another client", after=0)
    expect(emitted(page, "at once, by another client")).to_have_count(1)
    expect(coming(page)).to_have_text([re.compile("half an hour earlier"), re.compile("by another client")])


def test_a_search_finds_by_status_tag_and_window(visit: Visit, service: Service) -> None:
    noon = "2031-05-05T12:00:00"
    service.schedule("tagged", tags={"team": "red"})
    service.cancel(service.schedule("taken back", tags={"team": "red"}))
    body = {"timestamp": "2031-05-05T10:00:00Z", "message": "at noon in Berlin"}
    service.client.post("/schedule", json=body).raise_for_status()
    page = visit(service.url, timezone_id="Europe/Berlin")
    search(page, tag="team:red")
    expect(coming(page)).to_have_text([re.compile("tagged")])
    search(page, status="")
    expect(coming(page)).to_have_count(2)
    search(page, status="cancelled")
    expect(coming(page)).to_have_text([re.compile("cancelled.*taken back")])
    search(page, tag="team:blue")
    expect(page.locator("#tasks-empty")).to_have_text("No task matches.")
    search(page, status="scheduled", tag="", **{"from": noon, "to": "2031-05-05T12:00:01"})
    expect(coming(page)).to_have_text([re.compile("at noon in Berlin")])
    search(page, to=noon)
    expect(page.locator("#search-problem")).to_contain_text("ends before it begins")
    page.get_by_role("button", name="Clear filters").click()
    expect(page.get_by_role("heading", name="Coming up")).to_be_visible()
    expect(coming(page)).to_have_count(2)


def test_a_task_is_found_by_its_id(visit: Visit, service: Service) -> None:
    task_id = service.schedule("the one")
    service.schedule("another")
    page = visit(service.url)
    search(page, id=f" {task_id.upper()} ")
    expect(coming(page)).to_have_text([re.compile("the one")])
    search(page, id="b71f0ac2-0000-4000-8000-000000000000")
    expect(page.locator("#tasks-empty")).to_contain_text("No task has this id.")
    search(page, id="nonsense")
    expect(page.locator("#search-problem")).to_contain_text("not an id")


def test_more_is_loaded_page_by_page(visit: Visit, service: Service) -> None:
    start = now_ms() + 86_400_000
    service.schedule_many([{"timestamp": iso(start + n * 1000), "message": f"no. {n:03}"} for n in range(120)])
    page = visit(service.url)
    expect(coming(page)).to_have_count(50)
    expect(page.locator("#tasks-count")).to_have_text("the first 50")
    page.get_by_role("button", name="Load more").click()
    expect(coming(page)).to_have_count(100)
    page.get_by_role("button", name="Load more").click()
    expect(coming(page)).to_have_count(120)
    expect(page.get_by_role("button", name="Load more")).to_be_hidden()
    expect(page.locator("#tasks-count")).to_have_text("120 tasks")
    assert coming(page).locator("a").all_text_contents() == [f"no. {n:03}" for n in range(120)]


def test_a_look_in_the_background_does_not_take_the_place_of_more(visit: Visit, service: Service) -> None:
    start = now_ms() + 86_400_000
    service.schedule_many([{"timestamp": iso(start + n * 1000), "message": f"no. {n:03}"} for n in range(60)])
    page = visit(service.url, lambda page: page.clock.install())
    expect(coming(page)).to_have_count(50)
    # Without the signal that the page gives with it, for which the clock that is set forward has run out.
    page.evaluate("""() => {
      const ask = window.fetch;
      window.fetch = (url, given) => String(url).includes("cursor=")
        ? new Promise((answer) => { window.letGo = () => answer(ask(url)); }) : ask(url, given);
    }""")
    page.get_by_role("button", name="Load more").click()
    with page.expect_response(lambda answer: "status=scheduled&limit=50" in answer.url):
        page.clock.fast_forward(31_000)
    page.evaluate("() => window.letGo()")
    expect(coming(page)).to_have_count(60)


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[Service]:
    """A service of its own with 10,000 tasks: to cancel them would take longer."""
    with LocalServer(tmp_path / "tasks.db") as server, httpx.Client(base_url=server.url) as client:
        service = Service(server.url, client)
        start = now_ms() + 120_000
        service.schedule_many([{"timestamp": iso(start + n * 160), "message": f"no. {n:05}"} for n in range(10_000)])
        yield service


def test_ten_thousand_waiting_tasks_leave_the_page_bounded(visit: Visit, crowded: Service) -> None:
    page = visit(crowded.url)
    expect(coming(page)).to_have_count(50)
    more = page.get_by_role("button", name="Load more")
    for shown in range(100, 1001, 50):
        more.click()
        expect(coming(page)).to_have_count(shown)
    expect(more).to_be_hidden()
    expect(page.locator("#tasks-bound")).to_contain_text("The first 1,000 are shown.")
    expect(page.locator("#load-summary")).to_contain_text("more than 5,000 due in the next 30 min")
    coming(page, "no. 00999").get_by_role("link").click()
    expect(page.get_by_role("dialog")).to_contain_text("no. 00999")


def test_a_burst_of_events_is_shown_bounded_and_in_order(visit: Visit, service: Service) -> None:
    page = visit(service.url)
    expect(page.locator("#state")).to_have_text("Live")
    service.schedule_many([{"in": 0, "message": f"burst {n:03}"} for n in range(300)])
    log = httpx.get(f"{service.url}/events", params={"before": 2**63 - 1, "limit": 1}).json()
    newest = log["events"][0]["event"]["message"]
    expect(emitted(page, newest).first).to_be_visible()
    expect(emitted(page)).to_have_count(100)
    numbers = emitted(page).evaluate_all("rows => rows.map((row) => Number(row.dataset.number))")
    assert numbers == sorted(set(numbers), reverse=True)


def test_the_load_is_drawn_and_told_as_a_table(visit: Visit, service: Service) -> None:
    service.schedule("soon", after="10m")
    service.schedule("now", after=0)
    page = visit(service.url)
    summary = page.locator("#load-summary")
    expect(summary).to_contain_text(re.compile(r"\d+ emitted in the last 30 min.* late at the median"))
    expect(summary).to_contain_text("1 due in the next 30 min")
    expect(page.get_by_role("img", name=re.compile("1 due in the next 30 min"))).to_be_visible()
    assert page.locator("#load-picture svg g").count() == 60
    page.get_by_text("Show as a table").click()
    table = page.locator("#load-table table")
    expect(table.get_by_role("row").last).to_contain_text("1")
    expect(table).to_contain_text("ms")
