"""Webhooks of a running server: every event reaches a receiver that works, signed and in order."""

import socket
from pathlib import Path

import pytest

from tests.support.api import PAST, Api
from tests.support.clock import eventually
from tests.support.event_log import EventLog
from tests.support.local_server import LocalServer
from tests.support.receiver import WEBHOOK_SECRET, Receiver

pytestmark = pytest.mark.slow


def _server(tmp_path: Path, *urls: str) -> LocalServer:
    options = [option for url in urls for option in ("--webhook", url)]
    return LocalServer(tmp_path / "tasks.db", options=(*options, "--webhook-secret", WEBHOOK_SECRET))


def _emit(api: Api, count: int) -> None:
    api.schedule_batch([{"timestamp": PAST, "message": f"Grüße {number} 😀"} for number in range(count)])


def _logged(api: Api) -> list[str]:
    """Return the tasks in the order in which they were emitted."""
    return [envelope["event"]["id"] for envelope in api.send("GET", "/events?limit=1000").body["events"]]


def test_a_receiver_that_fails_and_recovers_gets_every_event(tmp_path: Path) -> None:
    with Receiver(fails=lambda attempt: attempt in {0, 1, 20}) as receiver, _server(tmp_path, receiver.url) as server:
        api = server.api()
        _emit(api, 40)
        eventually(lambda: len(receiver.events) >= 40)
        logged = {
            envelope["event"]["id"]: envelope["event"]
            for envelope in api.send("GET", "/events?limit=1000").body["events"]
        }
        assert {event["id"]: event for event in receiver.events} == logged
        failed = {receiver.attempts[number] for number in (0, 1, 20)}
        in_order = [task_id for task_id in logged if task_id not in failed]
        assert [task_id for task_id in receiver.ids if task_id not in failed] == in_order
        assert len(receiver.attempts) == 43
        assert api.http.get("/webhooks").json() == {"set_aside": 0, "messages": []}


def test_a_message_that_is_rejected_for_good_is_reported_until_it_is_acknowledged(tmp_path: Path) -> None:
    with (
        Receiver(fails=lambda attempt: attempt == 1, status=410) as receiver,
        _server(tmp_path, receiver.url) as server,
    ):
        api = server.api()
        _emit(api, 3)
        eventually(lambda: len(receiver.events) >= 2)
        shown = eventually(lambda: api.http.get("/webhooks").json()["messages"])
        assert [(one["id"], one["webhook"], one["failure"]) for one in shown] == [
            (receiver.attempts[1], "127.0.0.1", "410")
        ]
        health = api.send("GET", "/health").body
        assert health["status"] == "degraded"
        assert "set aside: 1." in health["warnings"][0]
        assert api.http.post("/webhooks/acknowledge", json={"before": "2026-01-01"}).status_code == 400
        assert api.http.post("/webhooks/acknowledge", json={"until": "soon"}).status_code == 400
        earlier = {"until": "2026-01-01T00:00:00Z"}
        assert api.http.post("/webhooks/acknowledge", json=earlier).json() == {"acknowledged": 0}
        assert api.http.post("/webhooks/acknowledge").json() == {"acknowledged": 1}
        assert api.send("GET", "/health").body["status"] == "ok"


def test_dead_endpoints_delay_neither_the_good_one_nor_the_scheduler(tmp_path: Path) -> None:
    """One refuses connections, and one takes them and never answers."""
    with (
        socket.create_server(("127.0.0.1", 0)) as closed,
        socket.create_server(("127.0.0.1", 0)) as silent,
        Receiver() as receiver,
    ):
        dead = [f"http://127.0.0.1:{listener.getsockname()[1]}/" for listener in (closed, silent)]
        closed.close()
        with _server(tmp_path, dead[0], receiver.url, dead[1]) as server:
            api = server.api()
            log = EventLog(api)
            _emit(api, 100)
            eventually(lambda: len(receiver.events) >= 100, within=60)
            assert receiver.ids == _logged(api)
            assert len(receiver.attempts) == 100
            log.wait_for([api.schedule({"in": 0.2, "message": "on time"})])
            assert server.stop() == 0


def test_a_killed_server_goes_on_where_it_was(tmp_path: Path) -> None:
    """With what had not been delivered, what came due meanwhile, and nothing that was delivered long ago."""
    with Receiver(fails=lambda attempt: attempt >= 8) as receiver:
        with _server(tmp_path, receiver.url) as server:
            api = server.api()
            _emit(api, 12)
            waiting = api.schedule({"in": 1, "message": "due while it is down"})
            eventually(lambda: len(receiver.attempts) > 8)
            server.kill()
        delivered = receiver.ids.copy()
        assert len(delivered) == 8
        before = len(receiver.attempts)
        receiver.fails = lambda _: False
        with _server(tmp_path, receiver.url) as server:
            api = server.api()
            eventually(lambda: len(receiver.events) >= 13)
            assert set(receiver.ids) == set(_logged(api))
            assert waiting.id in receiver.ids
            # The last one may come again: it was delivered, and the crash may have been before that was remembered.
            assert not set(receiver.attempts[before:]) & set(delivered[:-1])


def test_webhooks_without_a_secret_are_refused_with_one_to_take(tmp_path: Path) -> None:
    """The one that it proposes works, given by the variable."""
    url = "http://127.0.0.1:1/"
    server = LocalServer(tmp_path / "tasks.db", options=("--webhook", url))
    line = server.refusal()
    assert server.process.returncode == 1
    assert "TASK_SCHEDULER_WEBHOOK_SECRET" in line
    secret = line.split()[-1]
    with LocalServer(tmp_path / "tasks.db", options=("--webhook", url, "--webhook-secret", secret)) as accepted:
        assert accepted.stop() == 0
