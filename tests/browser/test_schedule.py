"""Scheduling by the form: relative and absolute, text and JSON, tags, mistakes in words."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.console import Service, coming, emitted, form, schedule_by_form
from tests.support.clock import milliseconds, now_ms


def test_a_text_is_scheduled_from_now_and_seen_at_once(visit: Visit, service: Service) -> None:
    page = visit(service.url)
    before = now_ms()
    fields = schedule_by_form(page, "Feed the cat", delay=("2", "hours"))
    expect(page.locator("#schedule-status")).to_contain_text("Scheduled for ")
    expect(coming(page, "Feed the cat")).to_contain_text(re.compile(r"in (2 h|1 h 59 min)"))
    (task,) = service.scheduled()
    assert task["message"] == "Feed the cat"
    assert 7_200_000 <= milliseconds(task["timestamp"]) - before <= 7_220_000
    expect(fields.get_by_label("Message")).to_have_value("")
    expect(fields.get_by_role("button", name="Schedule")).to_be_focused()


def test_a_local_time_is_sent_as_the_instant_that_it_is_there(visit: Visit, service: Service) -> None:
    page = visit(service.url, timezone_id="America/New_York")
    fields = form(page)
    fields.get_by_label("at a time").check()
    expect(fields).to_contain_text("America/New_York")
    for local, offset, instant in (
        ("2030-07-04T09:30:15", "UTC\u221204:00", "2030-07-04T13:30:15.000Z"),
        ("2030-12-04T09:30:00", "UTC\u221205:00", "2030-12-04T14:30:00.000Z"),
    ):
        fields.get_by_label("Date and time").fill(local)
        expect(fields).to_contain_text(offset)
        schedule_by_form(page, f"at {local}")
        row = coming(page, f"at {local}")
        expect(row.locator("time")).to_have_attribute("datetime", instant)
        expect(row.locator("time")).to_contain_text(local[11:])
    assert [task["timestamp"] for task in service.scheduled()] == [
        "2030-07-04T13:30:15.000Z",
        "2030-12-04T14:30:00.000Z",
    ]


def test_json_and_tags_are_sent_as_they_are(visit: Visit, service: Service) -> None:
    page = visit(service.url)
    fields = form(page)
    fields.get_by_label("JSON").check()
    fields.get_by_label("Message").fill('{"name": "Luke", "rank": [1, null]}')
    for name, value in (("user", "42"), ("kind", "a b")):
        fields.get_by_role("button", name="Add a tag").click()
        fields.get_by_label("Name").last.fill(name)
        fields.get_by_label("Value").last.fill(value)
    fields.get_by_role("button", name="Schedule").click()
    expect(coming(page)).to_contain_text('{ "name": "Luke", "rank": [ 1, null ] }')
    expect(coming(page)).to_contain_text("user: 42")
    (task,) = service.scheduled()
    assert task["message"] == {"name": "Luke", "rank": [1, None]}
    assert task["extra"] == {"tags": {"user": "42", "kind": "a b"}}
    expect(fields.get_by_label("Name")).to_have_count(0)


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("text", "", "Write a message."),
        ("JSON", "", "Write a message, as JSON."),
        ("JSON", '{"a": 1,\n "b" 2}', r"This is not JSON: .*line 2,? column 6"),
        ("JSON", '{"a":', r"This is not JSON: .*line 1,? column 6"),
        ("JSON", "null", "any JSON but null"),
    ],
)
def test_a_mistake_in_the_message_is_said_in_words(
    visit: Visit, service: Service, kind: str, text: str, words: str
) -> None:
    page = visit(service.url)
    fields = form(page)
    fields.get_by_label(kind, exact=True).check()
    message = fields.get_by_label("Message")
    message.fill(text)
    fields.get_by_role("button", name="Schedule").click()
    expect(page.locator("#schedule-problem")).to_contain_text(re.compile(words))
    expect(message).to_be_focused()
    expect(message).to_have_attribute("aria-invalid", "true")
    expect(message).to_have_accessible_description(re.compile(words))
    assert service.scheduled() == []
    message.fill("1")
    fields.get_by_role("button", name="Schedule").click()
    expect(coming(page)).to_have_count(1)
    expect(page.locator("#schedule-problem")).to_be_hidden()


def test_what_the_service_refuses_is_said_in_its_words(visit: Visit, service: Service) -> None:
    page = visit(service.url)
    fields = schedule_by_form(page, "too far", delay=("4000", "days"))
    expect(page.locator("#schedule-problem")).to_contain_text("within ten years")
    expect(fields.get_by_label("Message")).to_have_value("too far")


def test_an_answer_that_is_lost_makes_no_second_task(visit: Visit, service: Service) -> None:
    page = visit(service.url)
    page.route("**/schedule", lambda route: (route.fetch(), route.abort()), times=1)
    fields = schedule_by_form(page, "once", at="2031-01-01T00:00:00")
    expect(page.locator("#schedule-problem")).to_contain_text("does not respond")
    fields.get_by_role("button", name="Schedule").click()
    expect(page.locator("#schedule-status")).to_contain_text("Scheduled for ")
    assert len(service.scheduled()) == 1


def test_it_counts_down_and_moves_to_what_was_emitted(visit: Visit, service: Service) -> None:
    page = visit(service.url)
    page.evaluate("""() => {
      window.seen = [];
      new MutationObserver(() => seen.push(document.querySelector("#tasks .moment")?.textContent))
        .observe(document.getElementById("tasks"), { childList: true, characterData: true, subtree: true });
    }""")
    schedule_by_form(page, "Lift off", delay=("3", "seconds"))
    expect(emitted(page, "Lift off")).to_contain_text(re.compile(r"\d+ ms late|\d\.\d s late"))
    expect(coming(page, "Lift off")).to_have_count(0)
    assert len({"in 3 s", "in 2 s", "in 1 s"} & set(page.evaluate("seen"))) >= 2


def test_a_message_is_text_and_never_markup(visit: Visit, service: Service) -> None:
    evil = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
    task_id = service.schedule(evil, tags={"evil": evil})
    service.schedule(evil, after=0)
    page = visit(f"{service.url}/#task={task_id}")
    expect(page.get_by_role("dialog").locator("pre")).to_have_text(evil)
    expect(coming(page)).to_contain_text(evil)
    expect(emitted(page, evil).first).to_be_attached()
    expect(page).to_have_title("Task Scheduler")
    assert page.locator("img").count() == 1  # the one of the header
