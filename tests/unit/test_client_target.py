"""Which service a client talks to, and that its secret is told to nobody else."""

import httpx
import pytest

from task_scheduler.client import Client, UnreachableError
from tests.support.fake_service import SECRET, URL, Kind, Scripted, answer

HEALTH = answer({"status": "ok", "version": "0.1.0"})


@pytest.mark.parametrize("slashes", ["", "/", "//"])
def test_the_url_may_have_a_path_and_end_in_a_slash(kind: Kind, slashes: str) -> None:
    scripted = kind(HEALTH, url=URL + slashes)
    assert scripted.call("health") == "0.1.0"
    assert str(scripted.service.requests[0].url) == f"{URL}/health"


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://a.test", "http://", "http://a.test?x=1", "http://a.test/#x", "::"]
)
def test_what_is_no_url_is_told_at_once(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL must be such as http://127\.0\.0\.1:8000"):
        Client(url)


def test_what_is_not_given_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TASK_SCHEDULER_URL", raising=False)
    assert Client().url == "http://127.0.0.1:8000"
    monkeypatch.setenv("TASK_SCHEDULER_URL", URL)
    monkeypatch.setenv("TASK_SCHEDULER_SECRET", SECRET)
    for given, sent in ((None, SECRET), ("", None), ("another", "another")):
        scripted = Scripted(HEALTH)
        with Client(secret=given, transport=httpx.MockTransport(scripted.service)) as client:
            client.health()
            assert client.url == URL
        assert scripted.service.sent("x-pd-secret") == [sent]


def test_the_secret_is_in_no_text(kind: Kind) -> None:
    secret = "hush é"  # noqa: S105 - of nobody
    scripted = kind(httpx.ConnectError("no"), url="http://me:password@scheduler.test", secret=secret)
    with pytest.raises(UnreachableError) as caught:
        scripted.call("health")
    for text in (repr(scripted.client), str(caught.value), repr(caught.value), repr(scripted.client.__dict__)):
        assert "hush" not in text
        assert "password" not in text
    assert (b"x-pd-secret", secret.encode()) in scripted.service.requests[0].headers.raw


def test_a_secret_that_no_header_can_carry_is_refused_without_showing_it() -> None:
    with pytest.raises(ValueError, match="no header can carry") as caught:
        Client(URL, "hush\n")
    assert "hush" not in str(caught.value)


def test_an_unreachable_service_is_named_with_the_reason(kind: Kind) -> None:
    refused = httpx.ConnectError("All connection attempts failed")
    refused.__cause__ = ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 9)")
    for error, reason in (
        (refused, "connection refused"),
        (httpx.ConnectError("[Errno -2] Name or service not known"), "name or service not known"),
        (httpx.ConnectTimeout(""), "no connection in time"),
        (httpx.ReadTimeout(""), "no response in time"),
        (httpx.RemoteProtocolError("incomplete chunked read"), "the connection was cut"),
        (httpx.ReadError(""), "readError"),
    ):
        with pytest.raises(UnreachableError) as caught:
            kind(error).call("health")
        assert str(caught.value) == f"Cannot reach {URL}: {reason}."
