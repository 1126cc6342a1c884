"""GET /tasks, read page by page."""

import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlencode

import httpx

from tests.support.api import Api
from tests.support.clock import eventually
from tests.support.contract import JsonObject

_MOST_PAGES: Final = 1_000  # far more than any test needs: a walk that never ends shall fail
_READS_DIFFER_S: Final = 1  # on AWS, a read may show an older state than the one before it


def unique_tag() -> dict[str, str]:
    """Return a tag that no other task of the deployment has."""
    return {"test": uuid.uuid4().hex}


def page(api: Api, asked: Mapping[str, object]) -> JsonObject:
    """Return one page of a list that must be answered."""
    answer = api.send("GET", f"/tasks?{urlencode(asked)}")
    assert answer.status == httpx.codes.OK, answer
    return answer.body


def pages(api: Api, asked: Mapping[str, object]) -> Iterator[list[JsonObject]]:
    """Yield the tasks of each page; the next one is asked for only when it is wanted."""
    cursor: dict[str, str] = {}
    for _ in range(_MOST_PAGES):
        found = page(api, {**asked, **cursor})
        assert len(found["tasks"]) <= int(str(asked.get("limit", 50)))
        yield found["tasks"]
        if found["cursor"] is None:
            return
        cursor = {"cursor": found["cursor"]}
    raise AssertionError("the list does not end")


def walk(api: Api, asked: Mapping[str, object]) -> list[JsonObject]:
    """Return the tasks of all pages."""
    return [task for tasks in pages(api, asked) for task in tasks]


def wait_until_listed(api: Api, asked: Mapping[str, object], count: int) -> list[JsonObject]:
    """Return the whole list once it has `count` tasks, and will have them: on AWS, an index is a moment behind."""

    def listed() -> list[JsonObject] | None:
        found = walk(api, asked)
        return found if len(found) == count else None

    if not count:
        return walk(api, asked)
    found = eventually(listed, every=api.deployment.patience)
    if api.deployment.kind != "local":
        time.sleep(_READS_DIFFER_S)
    return found


def tag_query(tags: Mapping[str, str]) -> str:
    """Return a tag as a list takes it."""
    [(name, value)] = tags.items()
    return f"{name}:{value}"
