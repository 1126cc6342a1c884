"""The limit to measure by: a Starlette route that parses JSON and inserts it by group commit, and does nothing else.

No checks, no secret, no errors, no answer but an id: what any server of this kind must do at least.
"""

import argparse
import asyncio
import heapq
import json
import sqlite3
import sys
import threading
import time
import uuid
from contextlib import closing
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

LIMIT: Final = ("-m", "lab.bench.limit", "--data")
"""The command line of this server."""

Row = tuple[str, int, str]
Waiting = tuple[Row, asyncio.Future[None]]


class Writer:
    """A thread that inserts what came in together with one sync of the disk."""

    def __init__(self, path: Path) -> None:
        self._database = _opened(path)
        self._database.execute("CREATE TABLE task (id TEXT PRIMARY KEY, due_ms INTEGER, event TEXT) STRICT")
        self._database.execute("CREATE INDEX by_due ON task (due_ms)")
        self._waiting: SimpleQueue[Waiting] = SimpleQueue()

    def start(self) -> None:
        """Begin to write."""
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._run, daemon=True).start()

    async def insert(self, row: Row) -> None:
        """Return when the row is on the disk."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.put((row, future))
        await future

    def _run(self) -> None:
        while True:
            batch = [self._waiting.get()]
            try:
                while True:
                    batch.append(self._waiting.get_nowait())
            except Empty:
                pass
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("INSERT INTO task VALUES (?, ?, ?)", [row for row, _ in batch])
            self._database.execute("COMMIT")
            self._loop.call_soon_threadsafe(_settle, [future for _, future in batch])


def _opened(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    return database


def _settle(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        future.set_result(None)


def application(writer: Writer) -> Starlette:
    """Return the one route."""

    async def schedule(request: Request) -> Response:
        body = json.loads(await request.body())
        task_id = str(uuid.uuid4())
        await writer.insert((task_id, int(body["in"] * 1000), json.dumps(body)))
        return Response(json.dumps({"id": task_id}), media_type="application/json")

    return Starlette(routes=[Route("/schedule", schedule, methods=["POST"])])


async def _serve(port: int, path: Path) -> None:
    writer = Writer(path)
    config = uvicorn.Config(application(writer), port=port, log_config=None, access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    writer.start()
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells it by nothing else
        await asyncio.sleep(0.01)
    [listener] = server.servers[0].sockets
    sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    await serving


def timer(dues_ms: list[int], path: Path) -> list[float]:
    """Wake up for each time in turn, and note what is due by one sync: the least that a timer does to lose nothing.

    Return how late each was noted, in ms.
    """
    heap = sorted(dues_ms)
    late: list[float] = []
    with closing(_opened(path)) as database:
        database.execute("CREATE TABLE emitted (due_ms INTEGER) STRICT")
        while heap:
            time.sleep(max(0.0, heap[0] / 1000 - time.time()))
            due = []
            while heap and heap[0] <= time.time() * 1000:
                due.append(heapq.heappop(heap))
            database.execute("BEGIN IMMEDIATE")
            database.executemany("INSERT INTO emitted VALUES (?)", [(each,) for each in due])
            database.execute("COMMIT")
            now_ms = time.time() * 1000
            late += [now_ms - each for each in due]
    return late


def main() -> None:
    """Serve until it is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--data", type=Path, required=True)
    given = parser.parse_args()
    import uvloop  # noqa: PLC0415 - only when it serves

    uvloop.run(_serve(given.port, given.data))


if __name__ == "__main__":
    main()
