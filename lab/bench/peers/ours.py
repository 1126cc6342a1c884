"""The local engine, requested over HTTP by one process and heard over its event stream by another."""

import asyncio
import http.client
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import uvloop

from lab.bench.peers.protocol import APART_S, FAR_S, Peer, main, note
from lab.support.connection import Connection, Pool, Target
from lab.support.event_stream import EventStream

_BATCH: Final = 100
_AT_ONCE: Final = 8
_AGAIN_S: Final = 0.005  # the listener comes back at once: the start of the server is measured, not its pause


def task(due: float) -> dict[str, object]:
    """Return the body of a schedule request."""
    at = datetime.fromtimestamp(due, UTC).isoformat(timespec="milliseconds")
    return {"timestamp": at, "message": {"due": due}}


class Ours(Peer):
    """A server, whose address is that of its data file; the port is in a file beside it."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self._target = Target(f"http://127.0.0.1:{Path(f'{address}.port').read_text()}")
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._pool = Pool(self._target)

    def accept(self, due: float) -> str:
        """Schedule it."""
        return str(self._post("/schedule", task(due))["id"])

    def cancel(self, task_id: str) -> None:
        """Cancel it; the response comes after the commit."""
        self._post("/cancel", {"id": task_id})

    def due(self, times: Any) -> float:  # noqa: ANN401 - as in the base class
        """Schedule them, so many at once; connections are the loop's, not those of threads."""
        places = asyncio.Semaphore(_AT_ONCE)

        async def one(due: float) -> None:
            async with places:
                await self._send("/schedule", task(due))

        async def all_of_them() -> None:
            await asyncio.gather(*map(one, times))

        self._runner.run(all_of_them())
        return time.time()

    def fill(self, count: int, due: float) -> None:
        """Schedule many, by a hundred."""
        for first in range(0, count, _BATCH):
            numbers = range(first, min(first + _BATCH, count))
            tasks = [task(round(due + number * APART_S, 3)) for number in numbers]
            results = self._post("/schedule/batch", {"tasks": tasks})["results"]
            if any(result["status"] != http.HTTPStatus.OK for result in results):
                raise ConnectionError("A task was rejected.")

    def rate(self, producers: int, begin: float, seconds: float) -> float:
        """Count responses, with a loop instead of threads: a generator of its own would take the server's time."""
        return self._runner.run(self._rate(producers, begin, begin + seconds)) / seconds

    async def _rate(self, producers: int, begin: float, end: float) -> int:
        content = json.dumps(task(round(end + FAR_S, 3))).encode()
        sent = self._target.head("POST", "/schedule", {"content-type": "application/json"}, content)

        async def produce() -> int:
            connection, count = Connection(), 0
            await self._target.connect(connection)
            await asyncio.sleep(max(0.0, begin - time.time()))
            while True:
                status, _ = await connection.send(sent)
                if status != http.HTTPStatus.OK:
                    raise ConnectionError(f"A task got {status}.")
                if time.time() >= end:
                    connection.close()
                    return count
                count += 1

        return sum(await asyncio.gather(*(produce() for _ in range(producers))))

    def _post(self, path: str, body: object) -> Any:  # noqa: ANN401 - JSON
        return self._runner.run(self._send(path, body))

    async def _send(self, path: str, body: object) -> Any:  # noqa: ANN401 - JSON
        status, response = await self._pool.send("POST", path, body)
        if status != http.HTTPStatus.OK:
            raise ConnectionError(f"{path} got {status}.")
        return json.loads(response)

    def work(self) -> None:
        """Do nothing: the server is a program of its own."""

    def listen(self) -> None:
        """Note down each event when it comes, and come back to the server whenever it is gone."""

        def take(_position: int, data: bytes) -> None:
            note([json.loads(data)["event"]["message"]["due"]])

        uvloop.run(EventStream(self._target, take, last=0, pause_s=_AGAIN_S).run())


if __name__ == "__main__":
    main(Ours, roles=["listen"])
