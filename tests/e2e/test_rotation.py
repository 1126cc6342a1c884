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


def test_an_old_secret_alone_is_a_mistake(tmp_path: Path) -> None:
    refusal = LocalServer(tmp_path / "tasks.db", options=("--old-secret", "old")).refusal()
    assert "none that replaces it" in refusal


def test_an_old_secret_must_travel_in_a_header_too(tmp_path: Path) -> None:
    refusal = LocalServer(tmp_path / "tasks.db", secret="new", options=("--old-secret", "é")).refusal()  # noqa: S106 - of this test's server
    assert "printable ASCII" in refusal
