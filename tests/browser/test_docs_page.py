"""The API page: the contract to read, and to try against this service and no other."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.console import SECRET, Service, violations
from tests.support.contract import METHODS

# What Swagger UI 5.35.0 draws by itself, and we cannot change but by patching it.
THEIRS = {
    ".opblock-summary-control": ["nested-interactive"],  # a link within the button that unfolds an operation
    ".opblock-tag": ["heading-order"],  # a heading of the third level below one of the first
    ".information-container": ["region"],  # only its operations are in a landmark
}


def test_every_operation_of_the_contract_is_there(visit: Visit, requires_secret: Service) -> None:
    page = visit(f"{requires_secret.url}/docs")
    contract = requires_secret.client.get("/openapi.json").json()
    operations = [item[method] for item in contract["paths"].values() for method in METHODS & item.keys()]
    for operation in operations:
        expect(page.locator(f"[id$='-{operation['operationId']}']")).to_have_count(1)
    expect(page.locator(".opblock")).to_have_count(len(operations))
    expect(page.locator(".version").first).to_contain_text(contract["info"]["version"])
    page.get_by_role("link", name="Console").click()
    expect(page).to_have_title("Task Scheduler")


def test_a_task_is_scheduled_from_it_with_the_secret(visit: Visit, requires_secret: Service) -> None:
    page = visit(f"{requires_secret.url}/docs")
    page.locator(".auth-wrapper .btn.authorize").click()
    page.locator(".auth-container input").fill(SECRET)
    page.locator(".auth-container").get_by_role("button", name="Apply credentials").click()
    page.locator(".auth-container").get_by_role("button", name="Close").click()
    operation = page.locator("#operations-Tasks-schedule")
    operation.get_by_role("button").first.click()
    operation.locator("textarea.body-param__text").fill('{"in": "1h", "message": "from the API page"}')
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table td.response-col_status").last).to_contain_text("200")
    expect(operation.locator(".request-url")).to_contain_text(f"{requires_secret.url}/schedule")
    assert [task["message"] for task in requires_secret.scheduled()] == ["from the API page"]
    assert page.evaluate("[...Object.values(localStorage), ...Object.values(sessionStorage)]") == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_it_has_no_violation_of_ours(visit: Visit, requires_secret: Service, width: int, scheme: str) -> None:
    page = visit(f"{requires_secret.url}/docs", viewport={"width": width, "height": 800}, color_scheme=scheme)
    expect(page.locator(".opblock").first).to_be_visible()
    assert violations(page, THEIRS) == []
