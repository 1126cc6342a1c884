"""The secret is nowhere but with those who send it: not in an answer, a log, a metric, nor anywhere in the file."""

from pathlib import Path

import httpx
import pytest

from tests.conformance import secrecy
from tests.conformance.local_server import LocalServer

SECRET = "Zq7fQ0wM2nTb5kVx"  # noqa: S105 - of this test's server
OLD = "Hc9sLr4uYd1gPa8e"
HOOK = "whsec_" + "QmV3YXJlIG9mIHRoZSBkb2cgYXQgbmlnaHQ="


@pytest.mark.slow
def test_the_secrets_are_in_nothing_that_comes_out(tmp_path: Path) -> None:
    options = ("--old-secret", OLD, "--webhook-secret", HOOK, "--webhook", "http://127.0.0.1:9/hook")
    with LocalServer(tmp_path / "tasks.db", secret=SECRET, options=options) as server:
        said = [secrecy.answers(server.url, secret) for secret in (SECRET, OLD)]
        said.append(httpx.get(f"{server.url}/metrics", headers={secrecy.HEADER: SECRET}).text)
        assert "past" in said[0]
        assert said[0].count("\n401 ") >= 6
        live = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        server.stop()
    left = live + b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"past" in left
    for secret in (SECRET, OLD, HOOK, HOOK.removeprefix("whsec_")):
        assert secret.encode() not in left
        assert not [text for text in said if secret in text]
