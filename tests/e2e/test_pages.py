"""What the pages tell to run does run, as it is printed."""

from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from task_scheduler.api.routes import ROUTES
from tests.support.local_server import LocalServer
from tests.unit.documents import ROOT, blocks, commands

SECRET: Final = "a secret of 32 characters, or so"  # noqa: S105 - of a server that lives for a second


@pytest.mark.slow
def test_the_examples_of_the_python_client_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scope: dict[str, Any] = {"__name__": "a page"}
    with LocalServer(tmp_path / "tasks.db", secret=SECRET) as server:
        monkeypatch.setenv("TASK_SCHEDULER_URL", server.url)
        monkeypatch.setenv("TASK_SCHEDULER_SECRET", SECRET)
        for block in blocks((ROOT / "docs/python-client.md").read_text(), "python"):
            exec(block, scope)  # noqa: S102 - our own page
        scope["scheduler"].close()


@pytest.mark.slow
def test_each_call_of_the_reference_is_answered(tmp_path: Path) -> None:
    calls = [*commands((ROOT / "docs/api.md").read_text(), "curl")]
    assert calls
    with LocalServer(tmp_path / "tasks.db", secret=SECRET) as server, httpx.Client() as http:
        for words in calls:
            request = _request([word.replace("$URL", server.url).replace("$SECRET", SECRET) for word in words])
            with http.stream(**request) as answer:  # the event stream has no end
                assert answer.status_code in _expected(request["url"].removeprefix(server.url)), words


def _expected(path: str) -> set[int]:
    """Return 200, and 404 where something is named that is not there: the ids in the page are of no task here."""
    return {200, 404} if path not in ROUTES or path == "/cancel" else {200}


def _request(words: list[str]) -> dict[str, Any]:
    """Return what httpx sends for a command line of curl."""
    given: dict[str, Any] = {"headers": {}, "method": "GET"}
    rest = iter(words)
    for word in rest:
        match word:
            case "-X":
                given["method"] = next(rest)
            case "-H":
                name, _, value = next(rest).partition(": ")
                given["headers"][name] = value
            case "-d":
                given["content"] = next(rest)
                given["method"] = given["method"] if "-X" in words else "POST"
            case "-N":
                pass
            case _:
                given["url"] = word
    return given
