"""Writes a data file in the present format of the local engine, for the tests of later formats.

`python -m tests.e2e.formats.sample` writes FORMAT.sqlite3 with a task in every state, and FORMAT.json with what the API
returns about it. Files of earlier formats stay: users have such files.
"""

import json
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx

from tests.support.clock import eventually
from tests.support.local_server import LocalServer

FORMATS: Final = Path(__file__).parent

# Due so far ahead (at most ten years) that they are still waiting whenever the file is opened.
WAITING: Final[tuple[Mapping[str, Any], ...]] = (
    {"in": "3000d", "message": {"text": "in years", "n": 1.50}, "tags": {"user": "42"}, "note": "kept"},
    {"in": "3000d", "message": "with a key"},
    {"timestamp": "2034-07-01T09:00", "timezone": "Europe/Berlin", "message": "on a wall clock"},
    {"in": "3000d", "message": "changed", "tags": {"user": "42"}},
    {"in": "3000d", "message": "cancelled"},
)
KEY: Final = "a key of the release"
KEYED, CHANGED, CANCELLED = 1, 3, 4
SOON: Final = {"in": 2, "message": "overdue when it is opened"}
AT_ONCE: Final = {"in": 0, "message": "emitted"}


def write_sample(folder: Path) -> None:
    """Write both files; the server stops before the last task is due."""
    with TemporaryDirectory() as name:
        data = Path(name) / "tasks.sqlite3"
        with LocalServer(data) as server, httpx.Client(base_url=server.url) as api:
            responses = _fill(api)
        with closing(sqlite3.connect(data)) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
        shutil.copyfile(data, folder / f"{version}.sqlite3")
    (folder / f"{version}.json").write_text(json.dumps(responses, indent=1) + "\n")


def _fill(api: httpx.Client) -> dict[str, Any]:
    ids = [
        _send(api, "POST", "/schedule", body, {"idempotency-key": KEY} if number == KEYED else {})["id"]
        for number, body in enumerate(WAITING)
    ]
    _send(api, "PATCH", f"/tasks/{ids[CHANGED]}", {"in": "3000d", "message": "changed since"})
    _send(api, "DELETE", f"/tasks/{ids[CANCELLED]}")
    _send(api, "POST", "/schedule", AT_ONCE)
    events = eventually(lambda: _send(api, "GET", "/events?after=0")["events"])
    _send(api, "POST", "/schedule", SOON)
    return {"tasks": _send(api, "GET", "/tasks?limit=1000")["tasks"], "events": events}


def _send(
    api: httpx.Client, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
) -> Any:  # noqa: ANN401 - any JSON
    return api.request(method, path, json=body, headers=headers).raise_for_status().json()


if __name__ == "__main__":
    write_sample(FORMATS)
