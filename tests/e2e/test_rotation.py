"""Changing the secret of the local server: for a while two are taken, and never any other."""

from pathlib import Path

import httpx
import pytest

from tests.support.local_server import LocalServer

pytestmark = pytest.mark.slow


def test_the_old_secret_is_taken_beside_the_new_one(tmp_path: Path) -> None:
    options = ("--old-secret", "old")
    with LocalServer(tmp_path / "tasks.db", secret="new", options=options) as server:  # noqa: S106 - of this test's server
        answers = [
            httpx.get(f"{server.url}/tasks", headers={"x-pd-secret": secret}).status_code
            for secret in ("new", "old", "other", "newold", "")
        ]
    assert answers == [200, 200, 401, 401, 401]


@pytest.mark.parametrize(
    ("secret", "old", "reason"), [(None, "old", "none that replaces it"), ("new", "é", "printable ASCII")]
)
def test_an_old_secret_without_a_new_one_or_beyond_ascii_is_rejected(
    tmp_path: Path, secret: str | None, old: str, reason: str
) -> None:
    assert reason in LocalServer(tmp_path / "tasks.db", secret=secret, options=("--old-secret", old)).refusal()
