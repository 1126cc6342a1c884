"""More changes than the server can make soon: it rejects some of them quickly, and makes all that it accepted."""

import asyncio
import json
from pathlib import Path

import pytest

from lab.support.connection import Pool, Target
from tests.support.local_server import LocalServer

pytestmark = pytest.mark.slow


def test_what_is_refused_is_refused_with_a_sentence_and_what_is_accepted_is_emitted(tmp_path: Path) -> None:
    async def scenario(url: str) -> None:
        pool = Pool(Target(url))
        body = {"tasks": [{"in": 0, "message": "x" * 100}] * 100}
        answers = await asyncio.gather(*(pool.send("POST", "/schedule/batch", body) for _ in range(40)))
        accepted = set()
        for status, text in answers:
            answer = json.loads(text)
            assert status in {200, 503}
            for result in answer.get("results", [{"status": status, **answer}]):
                assert result["status"] in {200, 503}
                if result["status"] == 200:
                    accepted.add(result["id"])
                else:
                    assert "Try again" in result["errors"][0]
        assert accepted
        emitted: set[str] = set()
        position = 0
        async with asyncio.timeout(60):
            while not accepted <= emitted:
                page = await pool.json(f"/events?after={position}&limit=1000")
                emitted |= {event["event"]["id"] for event in page["events"]}
                position = page["position"]
        assert emitted == accepted
        pool.close()

    with LocalServer(tmp_path / "tasks.db") as server:
        asyncio.run(scenario(server.url))
