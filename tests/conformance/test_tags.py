"""The tags of a task: what they may be, and that they are emitted and found."""

from tests.support.api import PAST, Api
from tests.support.event_log import EventLog
from tests.support.task_list import tag_query, unique_tag, wait_until_listed, walk


def test_tags_are_emitted_and_shown(api: Api, log: EventLog) -> None:
    tags = {"user": "42", "Plan_1.x-y": "Überraschung 😀", "a": "b" * 256, "n" * 128: ' "quoted" \\ : , '}
    task = api.schedule({"timestamp": PAST, "message": "hello", "tags": tags})
    assert api.task(task.id)["extra"] == {"tags": tags}
    [envelope] = log.wait_for([task])
    assert envelope["event"] == {"id": task.id, "timestamp": PAST, "message": "hello", "tags": tags}


def test_up_to_8_tags_are_taken(api: Api, log: EventLog) -> None:
    eight = {f"tag{number}": str(number) for number in range(8)}
    tasks = [api.schedule({"timestamp": PAST, "message": "hello", "tags": tags}) for tags in (eight, {})]
    assert [envelope["event"]["tags"] for envelope in log.wait_for(tasks)] == [eight, {}]
    [error] = api.refuse({"timestamp": PAST, "message": "hello", "tags": {**eight, "more": "8"}})
    assert "tags" in error.split()
    assert "8" in error


def test_what_no_tag_can_be_is_named(api: Api) -> None:
    values: list[object] = [None, 5, True, [], {}, "", "x" * 257, "two\nlines", "\0", "\x7f"]
    names = ["", " ", "a b", "a:b", "é", ".a", "a.", "a..b", "AWS.x", "amazon.y", "x" * 129, "a/b"]
    no_objects: list[object] = [None, 5, "user:42", ["user:42"], True]
    for tags in [*no_objects, *({"user": value} for value in values), *({name: "x"} for name in names)]:
        [error] = api.refuse({"timestamp": PAST, "message": "hello", "tags": tags})
        assert "tags" in error.replace(":", " ").split(), tags


def test_a_list_finds_a_task_by_each_of_its_tags(api: Api, log: EventLog) -> None:
    first, second = unique_tag()["test"], unique_tag()["test"]
    both = api.schedule({"in": "1h", "message": "both", "tags": {"one": first, "two": second}})
    out = api.schedule({"timestamp": PAST, "message": "one", "tags": {"one": first}})
    log.wait_for([out])
    found = wait_until_listed(api, {"tag": f"one:{first}"}, 2)
    assert [task["id"] for task in found] == [out.id, both.id]
    assert [task["id"] for task in wait_until_listed(api, {"tag": f"two:{second}"}, 1)] == [both.id]
    for nobody in (f"two:{first}", f"One:{first}", f"one:{first.upper()}", f"one:{first[:-1]}", f"one:{first}:"):
        assert walk(api, {"tag": nobody}) == []


def test_values_are_compared_whole(api: Api) -> None:
    """With colons, spaces, quotes and signs that mean something in queries."""
    unique = unique_tag()["test"]
    values = [f"{unique}{end}" for end in ("", ":1", ":1:2", " ", "%", "_", "*", "#0", "&", "+", "'", "é", "😀")]
    tasks = {value: api.schedule({"in": "1h", "message": "hello", "tags": {"v": value}}).id for value in values}
    for value, task_id in tasks.items():
        assert [task["id"] for task in wait_until_listed(api, {"tag": tag_query({"v": value})}, 1)] == [task_id]
