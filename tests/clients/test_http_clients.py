"""The API with usual HTTP clients, each with its defaults, over loopback."""

from typing import Any, Final

import httpx
import pytest

from tests.clients.client import Client, Curl, Framing, Request, Response
from tests.clients.installed import CLIENTS, Kind
from tests.support.api import SECRET_HEADER, Deployment
from tests.support.clock import eventually
from tests.support.cutting_proxy import CuttingProxy

pytestmark = pytest.mark.slow

_EACH: Final = pytest.mark.parametrize("name", CLIENTS)
_FRAMINGS: Final = [
    pytest.param(name, framing, id=f"{name}-{framing}") for name, kind in CLIENTS.items() for framing in kind.framings
]
_CHUNKING: Final = [name for name, kind in CLIENTS.items() if "chunked" in kind.framings]
_EXPECTING: Final = [name for name, kind in CLIENTS.items() if "expect" in kind.framings]
_GETTING_WITH_BODY: Final = [name for name, kind in CLIENTS.items() if kind.gets_with_body]

_TEXT: Final = "Grüße \U0001f680 \u2028 \u2029 \u0085 \\u2028 \"'&=% \U0010fffd"
_LARGE: Final = "x" * 190_000 + _TEXT
_TOO_LARGE: Final = "x" * 1_100_000
_UNKNOWN: Final = "7212730d-85ba-4037-a648-b77db15ff8b1"


class Caller:
    """A client that gives the secret, and stops at a status that was not expected."""

    def __init__(self, client: Client, url: str, secret: str) -> None:
        self._client = client
        self._url = url
        self._secret = {SECRET_HEADER: secret}

    def request(self, method: str, path: str, body: object = None, **more: Any) -> Request:  # noqa: ANN401 - see Request
        """Return a request with the secret."""
        headers = self._secret | more.pop("headers", {})
        return Request(method, f"{self._url}{path}", body, headers=headers, **more)

    def send(self, method: str, path: str, body: object = None, *, status: int = 200, **more: Any) -> Any:  # noqa: ANN401 - any JSON
        """Send a request; returns the body of the response."""
        [response] = self._client.send(self.request(method, path, body, **more))
        assert response.status == status, response
        return response.body

    def send_all(self, *requests: Request) -> list[Response]:
        return self._client.send(*requests)

    def schedule(self, message: object, **more: Any) -> str:  # noqa: ANN401 - see Request
        """Schedule a task that is due in an hour; returns its id."""
        task_id: str = self.send("POST", "/schedule", {"in": "1h", "message": message}, **more)["id"]
        return task_id

    def message(self, task_id: str) -> object:
        """Return the message of a task."""
        return self.send("GET", f"/tasks/{task_id}")["message"]

    def status(self, task_id: str) -> object:
        """Return the state of a task."""
        return self.send("GET", f"/tasks/{task_id}")["status"]


@pytest.fixture
def caller(client: Client, server: Deployment) -> Caller:
    assert server.secret
    return Caller(client, server.url, server.secret)


@pytest.fixture
def observed(client: Client, server: Deployment, proxy: CuttingProxy) -> Caller:
    """Its requests go through `proxy`, on connections that are new."""
    assert server.secret
    return Caller(client, proxy.url.rstrip("/"), server.secret)


def sent(proxy: CuttingProxy) -> bytes:
    """Return what the client has sent, as a header is found in it: in lower case."""
    return b"".join(bytes(connection.sent) for connection in proxy.connections).lower()


@_EACH
def test_a_message_comes_back_as_it_was(caller: Caller) -> None:
    message: dict[str, object] = {"text": _TEXT, _TEXT: [1, 2.5, True, None, {}, []]}
    for sent_message in (message, _LARGE):
        assert caller.message(caller.schedule(sent_message)) == sent_message


@_EACH
def test_requests_with_bodies_follow_each_other_on_one_connection(
    observed: Caller, proxy: CuttingProxy, kind: Kind
) -> None:
    first, second, third = (observed.schedule(number) for number in range(3))
    before = len(proxy.connections)
    responses = observed.send_all(
        observed.request("POST", "/schedule", {"in": "1h", "message": _LARGE}),
        observed.request("POST", "/schedule", {"in": "1h", "message": _TEXT}),
        observed.request("PATCH", f"/tasks/{first}", {"message": _TEXT}),
        observed.request("GET", f"/tasks/{first}"),
        observed.request("POST", "/cancel", {"id": second}),
        observed.request("DELETE", "/cancel", {"id": third}),
        observed.request("GET", f"/tasks/{_UNKNOWN}"),
        observed.request("POST", "/schedule", {"in": "1h"}),
        observed.request("DELETE", f"/tasks/{first}"),
        observed.request("POST", "/schedule", {"in": "1h", "message": _TEXT}),
    )
    assert [response.status for response in responses] == [200, 200, 200, 200, 200, 200, 404, 400, 200, 200]
    assert responses[3].body["message"] == _TEXT
    assert _UNKNOWN in responses[6].body["errors"][0]
    assert observed.message(responses[9].body["id"]) == _TEXT
    if kind.keeps_connections:
        assert len(proxy.connections) - before <= 2, "one, and for curl another: the last GET is a `send` of its own"
    assert {observed.status(task_id) for task_id in (first, second, third)} == {"cancelled"}


@_EACH
def test_a_connection_that_was_idle_carries_the_next_body(
    observed: Caller, client: Client, proxy: CuttingProxy, kind: Kind
) -> None:
    """Another client waits meanwhile until something is emitted."""
    with httpx.Client(base_url=proxy.url) as other:
        due = observed.send("POST", "/schedule", {"in": 0.5, "message": _TEXT})["id"]
        secret = observed.request("GET", "/").headers
        eventually(lambda: other.get(f"/tasks/{due}", headers=secret).json()["status"] == "emitted")
        assert observed.message(observed.schedule(_TEXT)) == _TEXT
    if kind.keeps_connections and not isinstance(client, Curl):
        assert len(proxy.connections) == 2


@pytest.mark.parametrize(("name", "framing"), _FRAMINGS)
def test_a_wrong_secret_returns_401_whatever_the_body(caller: Caller, framing: Framing) -> None:
    body = {"in": "1h", "message": _LARGE}
    errors = caller.send("POST", "/schedule", body, framing=framing, headers={SECRET_HEADER: "wrong"}, status=401)[
        "errors"
    ]
    assert SECRET_HEADER in errors[0]
    assert caller.message(caller.schedule(_TEXT)) == _TEXT


@_EACH
def test_a_body_beyond_the_limit_returns_413(caller: Caller) -> None:
    assert caller.send("POST", "/schedule", {"in": "1h", "message": _TOO_LARGE}, status=413)["errors"]
    assert caller.message(caller.schedule(_TEXT)) == _TEXT


@_EACH
@pytest.mark.parametrize("path", ["/health", "/events", "/tasks"])
def test_head_has_no_body(caller: Caller, path: str) -> None:
    assert caller.send("HEAD", path) is None
    assert caller.message(caller.schedule(_TEXT)) == _TEXT


@pytest.mark.parametrize("name", _CHUNKING)
def test_a_body_in_chunks_is_accepted(observed: Caller, proxy: CuttingProxy) -> None:
    for message in (_LARGE, _TEXT):
        assert observed.message(observed.schedule(message, framing="chunked")) == message
    assert sent(proxy).count(b"transfer-encoding: chunked\r\n") == 2


@pytest.mark.parametrize("name", _EXPECTING)
def test_a_client_that_waits_for_100_continue_gets_it(observed: Caller, proxy: CuttingProxy) -> None:
    for message in (_LARGE, _TEXT):
        assert observed.message(observed.schedule(message, framing="expect")) == message
    assert sent(proxy).count(b"expect: 100-continue\r\n") == 2
    assert sum(connection.received.count(b"HTTP/1.1 100 ") for connection in proxy.connections) == 2


@pytest.mark.parametrize("name", _GETTING_WITH_BODY)
def test_a_get_with_a_body_schedules(caller: Caller) -> None:
    task_id = caller.send("GET", "/schedule", {"in": "1h", "message": _TEXT})["id"]
    assert caller.message(task_id) == _TEXT
