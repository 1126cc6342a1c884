"""The limit to measure by: a Starlette route that parses JSON and inserts it by group commit, and does nothing else.

No checks, no secret, no errors, no answer but an id: what any server of this kind must do at least.
"""

import asyncio
import heapq
import json
import socket
import sqlite3
import sys
import time
import uuid
from contextlib import closing
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

LIMIT: Final = ("-m", "lab.bench.limit")
"""The command line of this server."""

Row = tuple[str, int, str]


class Writer:
    """Inserts what came in together with one sync of the disk."""

    def __init__(self, path: Path) -> None:
        self._database = _opened(path)
        self._database.execute("CREATE TABLE task (id TEXT PRIMARY KEY, due_ms INTEGER, event TEXT) STRICT")
        self._database.execute("CREATE INDEX by_due ON task (due_ms)")
        self._waiting: list[tuple[Row, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def insert(self, row: Row) -> None:
        """Return when the row is on the disk."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, future))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        await future

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            await asyncio.to_thread(self._commit, [row for row, _ in batch])
            for _, future in batch:
                future.set_result(None)

    def _commit(self, rows: list[Row]) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        self._database.executemany("INSERT INTO task VALUES (?, ?, ?)", rows)
        self._database.execute("COMMIT")


def _opened(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    return database


def application(writer: Writer) -> Starlette:
    """Return the one route."""

    async def schedule(request: Request) -> Response:
        body = json.loads(await request.body())
        task_id = str(uuid.uuid4())
        await writer.insert((task_id, int(body["in"] * 1000), json.dumps(body)))
        return Response(json.dumps({"id": task_id}), media_type="application/json")

    return Starlette(routes=[Route("/schedule", schedule, methods=["POST"])])


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


def main(path: Path) -> None:
    """Serve until it is ended."""
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    config = uvicorn.Config(application(Writer(path)), loop="uvloop", log_config=None, access_log=False, lifespan="off")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(Path(sys.argv[-1]))
