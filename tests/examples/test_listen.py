"""The Node listener: it loses nothing and prints nothing twice, over cuts, long polls and restarts."""

import json
import signal
from typing import Final

import pytest

from tests.examples.conftest import Engine
from tests.examples.printed import Running, Workplace, printed
from tests.examples.scripted_stream import ScriptedStream
from tests.support.clock import eventually
from tests.support.cutting_proxy import CuttingProxy

pytestmark = pytest.mark.slow

LISTEN: Final = printed("node examples/listen.mjs")
LISTEN_FROM: Final = printed("node examples/listen.mjs listen.position")


def messages(running: Running) -> list[object]:
    return [json.loads(line.split(" ", 2)[2]) for line in running.lines()]


def frame(number: int, message: object, end: str = "\n") -> bytes:
    envelope = {"event": {"id": f"task-{number}", "message": message}, "metadata": {"id": f"task-{number}", "ts": 0}}
    return f"id: {number}{end}data: {json.dumps(envelope, ensure_ascii=False)}{end}{end}".encode()


def wait_for_position(workplace: Workplace) -> None:
    eventually((workplace.folder / "listen.position").exists)


def emit(engine: Engine, *messages: object) -> None:
    for message in messages:
        engine.api.schedule({"in": 1, "message": message})
        engine.advance("1s")


def test_every_message_is_printed_once_over_cuts(engine: Engine, workplace: Workplace) -> None:
    expected: list[object] = []
    with (
        CuttingProxy(engine.url) as proxy,
        workplace.running(LISTEN_FROM, TASK_SCHEDULER_URL=proxy.url) as listener,
    ):
        wait_for_position(workplace)
        for octets in (None, 100, 400, 1000):
            if octets is not None:
                proxy.cut_after(octets)  # within a frame
            some = [{"number": number, "text": "Grüße\n", "cut": octets} for number in range(5)]
            emit(engine, *some)
            expected += some
            listener.wait_for_lines(len(expected))
        assert messages(listener) == expected
        assert "Cut, coming back" in listener.errors()


def test_a_restart_prints_what_was_emitted_meanwhile(engine: Engine, workplace: Workplace) -> None:
    emit(engine, "before it ever ran")
    with workplace.running(LISTEN_FROM) as listener:
        wait_for_position(workplace)
        emit(engine, 1, 2)
        listener.wait_for_lines(2)
        eventually(lambda: (workplace.folder / "listen.position").read_text() == "3\n")
        listener.kill()
        assert messages(listener) == [1, 2]
    emit(engine, 3, "four")
    with workplace.running(LISTEN_FROM) as listener:
        emit(engine, 5)
        listener.wait_for_lines(3)
        assert messages(listener) == [3, "four", 5]
        assert listener.stop() == -signal.SIGINT
        assert listener.errors() == ""


def test_a_log_that_began_anew_is_followed(engine: Engine, workplace: Workplace) -> None:
    """The position of another log lies beyond the end of this one."""
    position = workplace.folder / "listen.position"
    position.write_text("1000\n")
    with workplace.running(LISTEN_FROM) as listener:
        eventually(lambda: position.read_text() == "0\n")
        emit(engine, "hello")
        listener.wait_for_lines(1)


def test_the_stream_is_read_as_the_standard_has_it(nowhere: Workplace) -> None:
    """Any end of a line, split anywhere, data in several lines, fields and comments that mean nothing to it."""
    two_lines = b'id: 4\r\ndata: {"event":{"id":"x","message":\r\ndata:"in two lines"},"metadata":{"ts":0}}\r\n\r\n'
    middle = two_lines.index(b'\ndata:"')
    windows = frame(3, "é", "\r\n")
    within = windows.index("é".encode()) + 1
    answers = [
        [
            *(b"\xef\xbb\xbfretry: 1\r\r", b"retry: soon\nunknown: field\nalone\n:\n: comment\n\n"),
            *(frame(1, "unix"), frame(2, "old mac", "\r"), windows[:within], windows[within:]),
            *(two_lines[:middle], two_lines[middle:]),
            *(b"event: other\ndata: {}\n\n", frame(5, "end"), frame(6, "half")[:-1]),
        ],
        [b"retry: 1\n:sse-handshake\n"],  # a long poll without an event
        [b"retry: 1\n", frame(5, "end, again"), frame(7, "after a gap")],
    ]
    with (
        ScriptedStream(answers).listening() as stream,
        nowhere.running(LISTEN, TASK_SCHEDULER_URL=stream.url) as listener,
    ):
        eventually(lambda: len(stream.last_event_ids) > len(answers))
        assert messages(listener) == ["unix", "old mac", "é", "in two lines", "end", "after a gap"]
        assert stream.last_event_ids[:4] == [None, "5", "5", "7"]


def test_a_rejection_or_another_service_ends_it_with_a_sentence(workplace: Workplace) -> None:
    health = f"{workplace.variables['TASK_SCHEDULER_URL']}/health?"
    for variables, words in (
        ({"TASK_SCHEDULER_SECRET": "another"}, "The service refused: "),
        ({"TASK_SCHEDULER_URL": health}, "URL"),
        ({"TASK_SCHEDULER_URL": "nonsense"}, "URL"),
    ):
        done = workplace.run(LISTEN, **variables)
        assert (done.returncode, done.stdout) == (1, "")
        [sentence] = done.stderr.splitlines()
        assert words in sentence


def test_a_file_that_holds_no_position_is_left_alone(nowhere: Workplace) -> None:
    position = nowhere.folder / "listen.position"
    for content in ("", "-1", "seven"):
        position.write_text(content)
        done = nowhere.run(LISTEN_FROM)
        assert (done.returncode, done.stdout) == (1, "")
        [sentence] = done.stderr.splitlines()
        assert "holds no position" in sentence
        assert position.read_text() == content


def test_it_waits_for_a_server_that_is_not_there(nowhere: Workplace) -> None:
    with nowhere.running(LISTEN) as listener:
        listener.wait_for_error("Cut, coming back: ")
        assert "ECONNREFUSED" in listener.errors()
        assert listener.stop() == -signal.SIGINT
        assert len(listener.errors().splitlines()) == 1
