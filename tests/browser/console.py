"""What the tests of the console share: the service behind it, and words for what a person sees and does."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from playwright.sync_api import Locator, Page

_AXE: Final = (Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js").read_text()
_MAX_BATCH: Final = 100
SECRET: Final = "correct horse battery"  # noqa: S105 - of a server that lives for a minute


@dataclass(frozen=True)
class Service:
    """The engine under the console, as another client of it sees it."""

    url: str
    client: httpx.Client

    def schedule(self, message: object, after: str | int = "1h", **more: object) -> str:
        """Schedule a message; returns the id of its task."""
        body = {"in": after, "message": message, **more}
        return str(self.client.post("/schedule", json=body).raise_for_status().json()["id"])

    def schedule_many(self, bodies: list[dict[str, object]]) -> None:
        """Schedule many messages."""
        for first in range(0, len(bodies), _MAX_BATCH):
            batch = bodies[first : first + _MAX_BATCH]
            self.client.post("/schedule/batch", json={"tasks": batch}).raise_for_status()

    def task(self, task_id: str) -> dict[str, Any]:
        """Return a task."""
        found: dict[str, Any] = self.client.get(f"/tasks/{task_id}").raise_for_status().json()
        return found

    def scheduled(self) -> list[dict[str, Any]]:
        """Return what is scheduled."""
        query: Mapping[str, str] = {"status": "scheduled", "limit": "1000"}
        found: list[dict[str, Any]] = self.client.get("/tasks", params=query).raise_for_status().json()["tasks"]
        return found

    def cancel(self, task_id: str) -> None:
        """Cancel a task."""
        self.client.delete(f"/tasks/{task_id}").raise_for_status()

    def cancel_all(self) -> None:
        """Cancel what is scheduled."""
        while ids := [task["id"] for task in self.scheduled()][:_MAX_BATCH]:
            self.client.post("/cancel/batch", json={"ids": ids}).raise_for_status()


def coming(page: Page, text: str | None = None) -> Locator:
    """Return the rows of the list of tasks, or those with a text."""
    rows = page.locator("#tasks > li")
    return rows if text is None else rows.filter(has_text=text)


def emitted(page: Page, text: str | None = None) -> Locator:
    """Return the rows of what was just emitted, or those with a text."""
    rows = page.locator("#emitted > li")
    return rows if text is None else rows.filter(has_text=text)


def form(page: Page) -> Locator:
    """Return the form that schedules."""
    return page.locator("#schedule")


def schedule_by_form(page: Page, message: str, *, delay: tuple[str, str] | None = None, at: str = "") -> Locator:
    """Fill the form and send it; returns the form."""
    fields = form(page)
    if delay:
        fields.get_by_label("In", exact=True).fill(delay[0])
        fields.get_by_label("Unit").select_option(delay[1])
    if at:
        fields.get_by_label("at a time").check()
        fields.get_by_label("Date and time").fill(at)
    fields.get_by_label("Message").fill(message)
    fields.get_by_role("button", name="Schedule").click()
    return fields


def violations(page: Page, exclude: Mapping[str, list[str]] | None = None) -> list[str]:
    """Return what axe-core finds wrong with the page, less the rules that are excluded for a selector."""
    page.evaluate(_AXE)
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{violation['id']}: {violation['help']}: {json.dumps(node['target'])} {node['html'][:200]}"
        for violation in found["violations"]
        for node in violation["nodes"]
        if not any(
            violation["id"] in rules and page.locator(str(node["target"][0])).first.evaluate(_WITHIN, selector)
            for selector, rules in (exclude or {}).items()
        )
    ]


_WITHIN: Final = "(element, selector) => element.closest(selector) !== null"
