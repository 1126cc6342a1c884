"""The load generator against a server of its own, against others, and against one that is slow."""

import asyncio
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lab.__main__ import main
from lab.bench.load import OPERATIONS, Workload
from lab.bench.report import percentile
from lab.support.connection import Pool, Target
from tests.support.clock import eventually

_ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_run_accounts_for_what_it_sent(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["load", "--rate", "60", "--seconds", "2", "--streams", "5", "--seed", "test"])
    printed = capsys.readouterr().out
    assert code == 0, printed
    assert "WRONG" not in printed
    rows = {line.split()[0]: line for line in printed.splitlines() if line}
    for name in (*OPERATIONS, "emitted", "streams", "sent", "server", "generator"):
        assert name in rows, printed
    [sent] = re.findall(r"sent +([\d,]+) requests", printed)
    outcomes = re.findall(r"^(?:schedule|cancel|show|list) +(\w+) +([\d,]+)", printed, re.MULTILINE)
    assert {outcome for outcome, _ in outcomes} <= {"200", "409"}
    assert sum(int(count.replace(",", "")) for _, count in outcomes) == int(sent.replace(",", ""))


@pytest.mark.lab
@pytest.mark.parametrize(
    ("share", "value"), [(0.5, 50), (0.9, 90), (0.99, 99), (0.01, 1), (0.001, 1), (1, 100), (0.985, 99)]
)
def test_a_percentile_is_a_value_that_enough_others_do_not_exceed(share: float, value: float) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], share) == value


@pytest.mark.lab
@pytest.mark.slow
def test_ctrl_c_ends_it_with_the_report_so_far() -> None:
    command = [sys.executable, "-m", "lab", "load", "--rate", "30", "--seconds", "600", "--streams", "2"]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own
        assert process.stdout is not None
        assert "30 requests a second for 600 s" in process.stdout.readline()
        started = time.monotonic()
        eventually(lambda: time.monotonic() > started + 1)  # the listeners are open by then, and it sends
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0, printed
    assert re.search(r"^sent +\d+ requests", printed, re.MULTILINE), printed


@pytest.mark.lab
def test_a_server_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["load", "--url", "http://127.0.0.1:9", "--streams", "0", "--seconds", "1"]) == 1
    assert "cannot be reached" in capsys.readouterr().err


class _Answering(asyncio.Protocol):
    """A server that gives one answer to every request, after a time; each request comes in one piece."""

    def __init__(self, status: str, after_s: float, opened: Callable[[object], None]) -> None:
        opened(self)
        self._answer = f"HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\n{{}}".encode()
        self._after_s = after_s

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, _data: bytes) -> None:
        asyncio.get_running_loop().call_later(self._after_s, self._transport.write, self._answer)


@asynccontextmanager
async def _answering(
    status: str, *, after_s: float, opened: Callable[[object], None] = lambda _: None
) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Answering(status, after_s, opened), "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.sleep(0.05)  # the server hears that its connections are cut


async def _workload(url: str, *, rate: float, seconds: float, most_open: int) -> Workload:
    pool = Pool(Target(url))
    load = Workload(pool, rate=rate, seed="test", most_open=most_open)
    await load.run(asyncio.Event(), seconds=seconds)
    pool.close()
    return load


@pytest.mark.lab
def test_a_slow_server_changes_nothing_about_when_requests_are_sent() -> None:
    async def scenario() -> None:
        async with _answering("503 Busy", after_s=0.5) as url:
            load = await _workload(url, rate=100, seconds=0.4, most_open=1_000)
        assert {outcome for _, outcome in load.latency_ms} == {"503"}
        latencies = [ms for values in load.latency_ms.values() for ms in values]
        assert len(latencies) == len(load.behind_ms) > 15
        assert min(latencies) >= 500

    asyncio.run(scenario())


@pytest.mark.lab
def test_what_the_generator_itself_cannot_send_is_counted() -> None:
    async def scenario() -> None:
        async with _answering("200 OK", after_s=0.3) as url:
            load = await _workload(url, rate=200, seconds=0.3, most_open=5)
        assert load.not_sent > 0
        assert len(load.behind_ms) <= 10

    asyncio.run(scenario())


@pytest.mark.lab
@pytest.mark.parametrize(("kept_s", "connections"), [(5.0, 1), (0.0, 3)])
def test_a_connection_that_was_idle_for_long_is_not_used_again(
    monkeypatch: pytest.MonkeyPatch, kept_s: float, connections: int
) -> None:
    """The server may cut it while a request is on its way."""
    monkeypatch.setattr("lab.support.connection._KEPT_S", kept_s)

    async def scenario() -> None:
        opened: list[object] = []
        async with _answering("200 OK", after_s=0, opened=opened.append) as url:
            pool = Pool(Target(url))
            for _ in range(3):
                assert await pool.send("GET", "/") == (200, b"{}")
            pool.close()
        assert len(opened) == connections

    asyncio.run(scenario())
