"""An engine that goes away and comes back, one whose clock is another, and the stream cut into long polls."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import Visit
from tests.browser.console import Service, coming, emitted
from tests.support.local_server import LocalServer

IS_STREAM = re.compile(r"/events$")
IS_CALL = re.compile(r":\d+/(events|health|tasks)\b")


def test_an_engine_that_comes_back_is_found_again_and_nothing_is_missed_or_doubled(
    visit: Visit, tmp_path: Path
) -> None:
    with LocalServer(tmp_path / "tasks.db") as server, httpx.Client(base_url=server.url) as client:
        service = Service(server.url, client)
        service.schedule("before", after=0)
        page = visit(server.url)
        expect(emitted(page, "before")).to_have_count(1)
        service.schedule("while it was away", after=1)
        service.schedule("later", after="1h")
        server.stop()
        banner = page.get_by_role("region", name="Connection")
        expect(banner).to_contain_text(re.compile(r"The service does not respond\. Trying again in \d+ s\."))
        expect(page.locator("#state")).to_have_text("Not connected")
        port = httpx.URL(server.url).port or 0
        with LocalServer(tmp_path / "tasks.db", port=port) as again, httpx.Client(base_url=again.url) as anew:
            expect(page.locator("#state")).to_have_text("Live")
            expect(banner).to_be_hidden()
            expect(emitted(page)).to_have_text([re.compile("while it was away"), re.compile("before")])
            expect(coming(page)).to_have_text([re.compile("later")])
            Service(again.url, anew).schedule("after", after=0)
            expect(emitted(page)).to_have_text([re.compile(text) for text in ("after", "while it was away", "before")])


def test_trying_again_can_be_hurried(visit: Visit, service: Service) -> None:
    page = visit(service.url, lambda page: page.route(IS_CALL, lambda route: route.abort()))
    expect(page.locator("#banner-countdown")).to_have_text(re.compile(r"in [5-8] s"))
    page.unroute(IS_CALL)
    page.get_by_role("button", name="Try now").click()
    expect(page.locator("#state")).to_have_text("Live", timeout=4000)


def test_an_engine_with_other_data_is_shown_as_it_is(visit: Visit, tmp_path: Path) -> None:
    with LocalServer(tmp_path / "old.db") as server, httpx.Client(base_url=server.url) as client:
        for number in range(3):
            Service(server.url, client).schedule(f"old {number}", after=0)
        page = visit(server.url)
        expect(emitted(page, "old")).to_have_count(3)
        server.stop()
        port = httpx.URL(server.url).port or 0
        with LocalServer(tmp_path / "new.db", port=port) as again, httpx.Client(base_url=again.url) as anew:
            expect(page.locator("#state")).to_have_text("Live")
            expect(emitted(page)).to_have_count(0)
            Service(again.url, anew).schedule("new", after=0)
            expect(emitted(page)).to_have_text([re.compile("new")])


def test_long_polls_make_the_same_stream(visit: Visit, service: Service) -> None:
    """As behind API Gateway: each answer comes as a whole and ends, and the next goes on after it."""
    service.schedule("before", after=0)
    asked: list[str | None] = []

    def poll(route: Route) -> None:
        position = route.request.headers.get("last-event-id")
        asked.append(position)
        body = "retry: 250\n"
        if position is None:
            body += "event: position\nid: 0\ndata: 0\n\n"
        else:
            page_of = service.client.get("/events", params={"after": position, "limit": 2}).json()["events"]
            body += "".join(
                f"id: {envelope['id']}\ndata: {httpx.Response(200, json=envelope).text}\n\n" for envelope in page_of
            )
        route.fulfill(content_type="text/event-stream", body=body + ":sse-handshake\n")

    page = visit(service.url, lambda page: page.route(IS_STREAM, poll))
    for number in range(5):
        service.schedule(f"polled {number}", after=0)
    expect(emitted(page, "polled")).to_have_text([re.compile(f"polled {number}") for number in (4, 3, 2, 1, 0)])
    assert asked[0] is None
    assert None not in asked[1:]


def test_too_many_listeners_are_not_taken_for_an_engine_that_is_away(visit: Visit, service: Service) -> None:
    def refuse(route: Route) -> None:
        route.fulfill(status=429, headers={"retry-after": "3"}, json={"errors": ["Too many requests."]})

    page = visit(service.url, lambda page: page.route(IS_STREAM, refuse))
    expect(page.get_by_role("region", name="Connection")).to_contain_text("Too many people follow the events")
    service.schedule("still seen")
    service.schedule("seen as well", after=0)
    expect(coming(page, "still seen")).to_be_visible()
    expect(emitted(page, "seen as well")).to_be_visible()


def test_a_page_that_nobody_sees_gives_its_connection_back_and_catches_up_later(visit: Visit, service: Service) -> None:
    page = visit(service.url, lambda page: page.clock.install())
    expect(page.locator("#state")).to_have_text("Live")
    show = """hidden => {
      Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(show, True)  # noqa: FBT003 - an argument of the script
    page.clock.fast_forward(31_000)
    expect(page.locator("#state")).to_have_text("Paused")
    service.schedule("unseen", after=0)
    service.schedule("to come")
    page.evaluate(show, False)  # noqa: FBT003 - an argument of the script
    expect(page.locator("#state")).to_have_text("Live")
    expect(emitted(page, "unseen")).to_have_count(1)
    expect(coming(page, "to come")).to_have_count(1)


@pytest.fixture
def ahead(tmp_path: Path) -> Iterator[Service]:
    """A service with a clock for tests, which is 30 days ahead."""
    with (
        LocalServer(tmp_path / "tasks.db", options=("--test-clock",)) as server,
        httpx.Client(base_url=server.url) as client,
    ):
        client.post("/clock", json={"advance": "30d"}).raise_for_status()
        yield Service(server.url, client)


def test_a_clock_that_is_ahead_is_told_and_gone_by(visit: Visit, ahead: Service) -> None:
    ahead.schedule("in an hour of theirs", after="1h")
    page = visit(ahead.url)
    expect(coming(page, "theirs")).to_contain_text(re.compile("in 30 d"))
    expect(emitted(page)).to_have_count(0)
    ahead.schedule("tells the time", after=0)
    expect(page.locator("#skew")).to_contain_text("is 30 d ahead of yours")
    expect(coming(page, "theirs")).to_contain_text(re.compile("in (1 h|59 min)"))
    ahead.client.post("/clock", json={"advance": "2h"}).raise_for_status()
    expect(emitted(page, "theirs")).to_have_count(1)


def test_a_browser_whose_clock_is_wrong_counts_by_the_service(visit: Visit, service: Service) -> None:
    service.schedule("on time", after="2h")
    slow = "const real = Date.now; Date.now = () => real() - 3_600_000;"
    page = visit(service.url, lambda page: page.add_init_script(slow))
    expect(page.locator("#skew")).to_contain_text("is 1 h ahead of yours")
    expect(coming(page, "on time")).to_contain_text(re.compile(r"in (2 h|1 h 59 min)"))
