"""Starting and stopping: a clean end on request, a plain sentence when it cannot begin."""

import asyncio
import signal
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from granian.server.embed import Server

from task_scheduler.local.server import Options, ServeError, serve
from tests.support.event_stream import stream
from tests.support.local_server import LocalServer

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_streams_and_the_process_and_keeps_the_tasks(tmp_path: Path, how: signal.Signals) -> None:
    data = tmp_path / "tasks.db"
    with LocalServer(data) as server:
        api = server.api()
        task = api.schedule({"in": "1h", "message": "hello"})
        with stream(api) as one, stream(api, last_event_id=0) as other:
            greetings = [next(one), next(other)]
            assert server.stop(how) == 0
            assert not [frame for frame in [*greetings, *one, *other] if frame.is_event]
        assert server.errors == ""
    with LocalServer(data) as server:
        api = server.api()
        assert api.task(task.id)["status"] == "scheduled"


def test_a_stop_is_clean_as_soon_as_the_server_has_said_where_it_listens(tmp_path: Path) -> None:
    for _ in range(5):
        with LocalServer(tmp_path / "tasks.db") as server:
            assert server.stop(signal.SIGTERM) == 0
            assert server.errors == ""


def test_a_client_that_is_slow_to_send_a_body_gets_503_and_does_not_hold_up_the_stop(tmp_path: Path) -> None:
    with (
        LocalServer(tmp_path / "tasks.db") as server,
        socket.create_connection(("127.0.0.1", httpx.URL(server.url).port or 0)) as client,
    ):
        client.sendall(b"POST /schedule HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        api = server.api()
        api.schedule({"in": "1h", "message": "the server has read the other request by now"})
        assert server.stop() == 0
        response = client.makefile("rb").read()
        assert response.startswith(b"HTTP/1.1 503 ")
        assert b"The server is stopping" in response
        assert server.errors == ""


def test_an_http_server_that_ends_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_server: object) -> None:
        await asyncio.sleep(0.2)
        raise RuntimeError("the worker has ended")

    serve_http = Server.serve

    async def serve_then_fail(server: Server) -> None:
        task = asyncio.ensure_future(serve_http(server))
        await fail(server)
        await task

    monkeypatch.setattr(Server, "serve", serve_then_fail)
    with pytest.raises(ServeError, match="The HTTP server has ended"):
        serve(Options(port=0, data=tmp_path / "tasks.db"), lambda _url: None)


def test_two_signals_are_no_crash(tmp_path: Path) -> None:
    with LocalServer(tmp_path / "tasks.db") as server:
        server.process.send_signal(signal.SIGINT)
        assert server.stop(signal.SIGINT) == 0
        assert server.errors == ""


@pytest.mark.parametrize("place", ["folder", "diary/tasks.db", "diary", "other.db"])
def test_data_that_cannot_be_used_is_named_and_left_alone(tmp_path: Path, place: str) -> None:
    """A folder, a file in a file, no database, and a database of something else."""
    diary = "Dear diary, this is no database. " * 100
    (tmp_path / "folder").mkdir()
    (tmp_path / "diary").write_text(diary)
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE task (title TEXT)")
    data = tmp_path / place
    server = LocalServer(data, folder=tmp_path)
    assert str(data) in server.refusal()
    assert (tmp_path / "diary").read_text() == diary
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        assert other.execute("SELECT sql FROM sqlite_master").fetchall() == [("CREATE TABLE task (title TEXT)",)]
