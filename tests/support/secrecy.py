"""Every way in which a caller can send the secret, right or wrong, with all that was answered."""

from collections.abc import Iterator
from typing import Final

import httpx

HEADER: Final = "x-pd-secret"
PAST: Final = "2020-08-21T04:29:00.951Z"


def answers(url: str, secret: str) -> str:
    """Send requests of every kind that carry the secret; return the text of all answers, headers included."""
    with httpx.Client(base_url=url, timeout=60) as client:
        return "\n".join(_text(response) for response in _responses(client, secret))


def _responses(client: httpx.Client, secret: str) -> Iterator[httpx.Response]:
    by_header = {HEADER: secret}
    task = {"timestamp": PAST, "message": "past"}
    yield client.post("schedule", json=task, headers=by_header)
    yield client.post("schedule", json={**task, "secret": secret, "n": 1})
    yield client.post("schedule", json={"in": "1d", "message": "far", "tags": {"a": "b"}, "secret": secret})
    yield client.post("schedule", json={**task, "secret": secret}, headers=by_header)
    yield client.post("schedule", json=task, headers={**by_header, "idempotency-key": "once"})
    yield client.post(
        "schedule/batch", json={"secret": secret, "tasks": [{**task, "secret": secret}, {"secret": secret}]}
    )
    made = client.post("schedule", json={"in": "400d", "message": "farther", "secret": secret})
    yield made
    task_id = made.json()["id"]
    yield client.patch(f"tasks/{task_id}", json={"in": "401d", "secret": secret})
    yield client.patch(f"tasks/{task_id}", json={"secret": secret})
    yield client.post("cancel", json={"id": task_id, "secret": secret})
    yield client.post("cancel/batch", json={"tag": "a:b", "secret": secret})
    yield client.get("tasks", params={"limit": 1000}, headers=by_header)
    yield client.get("events", headers={**by_header, "last-event-id": "0"})
    # Mistakes of all kinds, with the right secret and with nearly that.
    for wrong in (f"{secret}x", secret[:-1]):
        yield client.get("tasks", headers={HEADER: wrong})
        yield client.post("schedule", json={**task, "secret": wrong})
        yield client.post("schedule", json={**task, "secret": [wrong]})
    for content in (f'{{"secret": "{secret}", ', f'{{"secret": "{secret}"}} more', f'["{secret}"]', f'"{secret}"'):
        yield client.post("schedule", content=content)
        yield client.post("schedule", content=content, headers=by_header)
    yield client.post("schedule", json={"secret": secret})
    yield client.put("schedule", json={"secret": secret}, headers=by_header)
    yield client.post("nowhere", json={"secret": secret}, headers=by_header)


def _text(response: httpx.Response) -> str:
    return f"{response.status_code} {response.headers!r}\n{response.text}"
