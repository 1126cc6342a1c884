"""A data file of the local engine as its present version leaves it, beside what that version says of it."""

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

DATA: Final = "tasks.sqlite3"
SAID: Final = "tasks.json"

# So far ahead that they wait whenever the file is opened, at most ten years.
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
    """Write a file with a task in every state, and what the API says of it."""
    data = folder / DATA
    with _serving(data) as url:
        ids = [
            _send(url, "POST", "schedule", body, {"idempotency-key": KEY} if number == KEYED else {})["id"]
            for number, body in enumerate(WAITING)
        ]
        _send(url, "PATCH", f"tasks/{ids[CHANGED]}", {"in": "3000d", "message": "changed since"})
        _send(url, "DELETE", f"tasks/{ids[CANCELLED]}")
        _send(url, "POST", "schedule", AT_ONCE)
        while not (events := _send(url, "GET", "events?after=0")["events"]):
            time.sleep(0.05)
        _send(url, "POST", "schedule", SOON)
        said = {"tasks": _send(url, "GET", "tasks?limit=1000")["tasks"], "events": events}
    (folder / f"{DATA}.lock").unlink(missing_ok=True)
    (folder / SAID).write_text(json.dumps(said, indent=1) + "\n")


@contextmanager
def _serving(data: Path) -> Iterator[str]:
    """Serve the file on a free port; yields the URL."""
    command = [sys.executable, "-m", "task_scheduler.cli", "serve", "--port=0", f"--data={data}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 - our own server
        try:
            for line in server.stdout or ():
                if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                    yield found.group() + "/"
                    return
        finally:
            server.terminate()


def _send(url: str, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - any JSON
    request = urllib.request.Request(url + path, method=method, headers=dict(headers or {}))  # noqa: S310 - http, our own
    if body is not None:
        request.data = json.dumps(body).encode()
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        return json.load(answer)
