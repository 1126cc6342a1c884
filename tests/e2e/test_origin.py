"""A server without a secret, and the pages of other sites in a browser on the same machine."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from task_scheduler.local.server import Options, ServeError
from tests.support.local_server import LocalServer

BODY = {"in": "1h", "message": "hello"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with LocalServer(tmp_path_factory.mktemp("open") / "tasks.db") as running:
        yield running


def port(server: LocalServer) -> str:
    return server.url.rpartition(":")[2]


def errors(answer: httpx.Response) -> str:
    [sentence] = answer.json()["errors"]
    return str(sentence)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST", "app.localhost", "[::1]", "127.9.9.9"])
def test_every_name_of_this_machine_is_served(server: LocalServer, name: str) -> None:
    host = f"{name}:{port(server)}"
    for headers in ({"host": host}, {"host": host, "origin": f"http://{host}"}):
        assert httpx.post(f"{server.url}/schedule", json=BODY, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "name", ["rebound.example", "127.0.0.1.nip.example", "localhost.example", "10.0.0.1", "", "[::1", "[fe80::1]"]
)
def test_a_name_that_somebody_else_may_have_pointed_here_is_not(server: LocalServer, name: str) -> None:
    for path in ("/", "/tasks", "/events", "/metrics"):
        answer = httpx.get(f"{server.url}{path}", headers={"host": f"{name}:{port(server)}"})
        assert answer.status_code == 403
        assert errors(answer).startswith("This server is not ")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:1", "null", "http://localhost", ""])
def test_a_page_of_another_site_changes_nothing(server: LocalServer, origin: str) -> None:
    """A browser sends such a request unasked: text/plain needs no permission."""
    before = httpx.get(f"{server.url}/tasks", params={"tag": "from:afar"}).json()
    body = '{"in": "1h", "message": "hello", "tags": {"from": "afar"}}'
    headers = {"origin": origin, "content-type": "text/plain"}
    answer = httpx.post(f"{server.url}/schedule", content=body, headers=headers)
    assert answer.status_code == 403
    assert "may not use this server" in errors(answer)
    assert httpx.get(f"{server.url}/tasks", params={"tag": "from:afar"}).json() == before


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("path", ["/events", "/tasks", "/health", "/"])
def test_a_page_of_another_site_cannot_read_either(server: LocalServer, site: str, path: str) -> None:
    """A GET without CORS, such as that of an image, carries no Origin."""
    for mode, destination in (("no-cors", "empty"), ("no-cors", "image"), ("navigate", "iframe"), ("cors", "empty")):
        headers = {"sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": destination}
        answer = httpx.get(f"{server.url}{path}", headers=headers)
        assert answer.status_code == 403
        assert errors(answer).startswith("Pages of other sites may not use this server.")


def test_a_form_of_another_site_is_rejected_even_without_an_origin(server: LocalServer) -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    response = httpx.post(f"{server.url}/schedule", json={"in": 60, "message": "hi"}, headers=headers)
    assert response.status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
        {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
    ],
    ids=["an address that was typed in", "our own page", "a link that was followed"],
)
def test_what_a_person_opens_is_served(server: LocalServer, headers: dict[str, str]) -> None:
    assert httpx.get(server.url, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "", "*", "10.0.0.1", "fe80::1", "0", "2130706433", "localhost.example"],  # noqa: S104 - refused
)
def test_without_a_secret_no_address_but_loopback_is_listened_on(host: str) -> None:
    with pytest.raises(ServeError, match="set a secret first"):
        Options(host=host, data=Path("never-opened")).check()
    Options(host=host, data=Path("never-opened"), secret="s3cret").check()  # noqa: S106 - of no server


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_on_loopback_no_secret_is_needed(host: str) -> None:
    Options(host=host, data=Path("never-opened")).check()


def test_with_a_secret_the_secret_decides(tmp_path: Path) -> None:
    with LocalServer(tmp_path / "tasks.db", secret="s3cret") as server:  # noqa: S106 - of this test's server
        headers = {"host": "scheduler.example", "origin": "https://scheduler.example"}
        assert httpx.get(f"{server.url}/tasks", headers=headers).status_code == 401
        assert httpx.get(f"{server.url}/tasks", headers={**headers, "x-pd-secret": "s3cret"}).status_code == 200
