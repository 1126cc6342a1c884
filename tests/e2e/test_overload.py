"""More changes than the server can make soon: it rejects some of them quickly, and makes all that it accepted."""

import asyncio
import json
from pathlib import Path

import pytest

from lab.support.connection import Connection, Pool, Target
from tests.support.local_server import LocalServer

pytestmark = pytest.mark.slow

_CALLERS = 300


@pytest.mark.long  # who comes when is up to how busy the machine is
def test_those_who_come_last_are_served_before_those_who_came_first_come_again(tmp_path: Path) -> None:
    """A loop that took one connection in a turn would serve the first ones many times over meanwhile."""

    async def scenario(url: str) -> None:
        target = Target(url)
        answered: list[int] = []
        connections = [Connection() for _ in range(_CALLERS)]
        for connection in connections:
            await target.connect(connection)

        async def call_again(connection: Connection) -> None:
            for _ in range(3):
                await connection.send(target.head("GET", "/tasks?limit=1", {}))
                answered.append(connections.index(connection))

        await asyncio.gather(*map(call_again, connections))
        for connection in connections:
            connection.close()
        assert set(answered[: 2 * _CALLERS]) == set(range(_CALLERS))

    with LocalServer(tmp_path / "tasks.db") as server:
        asyncio.run(scenario(server.url))


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
