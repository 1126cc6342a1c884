"""What webhooks did not accept is shown until somebody acknowledges it."""

import re
from pathlib import Path

import httpx
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.console import Service, violations
from tests.support.clock import eventually
from tests.support.local_server import LocalServer
from tests.support.receiver import WEBHOOK_SECRET, Receiver


def test_messages_that_were_set_aside_are_shown_until_they_are_acknowledged(visit: Visit, tmp_path: Path) -> None:
    with (
        Receiver(fails=lambda attempt: attempt < 3, status=410) as receiver,
        LocalServer(
            tmp_path / "tasks.db", options=("--webhook", receiver.url, "--webhook-secret", WEBHOOK_SECRET)
        ) as server,
        httpx.Client(base_url=server.url) as client,
    ):
        service = Service(server.url, client)
        first = [service.schedule(f"rejected {number}", after=0) for number in range(2)]
        eventually(lambda: client.get("/webhooks").json()["set_aside"] == len(first))
        page = visit(server.url)
        card = page.get_by_role("region", name="Not accepted by webhooks")
        expect(card.get_by_role("listitem")).to_have_text(
            [re.compile(f"{one}.*127.0.0.1: 410, 1 attempt") for one in first[::-1]]
        )
        assert violations(page) == []
        unseen = service.schedule("rejected later", after=0)
        eventually(lambda: client.get("/webhooks").json()["set_aside"] == len(first) + 1)
        card.get_by_role("button", name="Acknowledge").click()
        expect(card.get_by_role("listitem")).to_have_text([re.compile(unseen)])
        card.get_by_role("link").click()
        expect(page.get_by_role("dialog")).to_contain_text("rejected later")
        page.get_by_role("button", name="Close").click()
        card.get_by_role("button", name="Acknowledge").click()
        expect(card).to_be_hidden()
        expect(page.locator("#health")).to_be_hidden()
        assert client.get("/webhooks").json()["set_aside"] == 0
