"""What makes the table of the peers, without any of them: notes, medians, who is compared, and what is not there."""

from pathlib import Path
from sys import executable

import pytest

from lab.bench.peers.contenders import OURS, PEERS, found, missing
from lab.bench.peers.processes import PeerError, Process, memory_mib
from lab.bench.peers.protocol import APART_S, Peer
from lab.bench.peers.runner import BURST_P99, CANCEL, Results, accepted, lateness, rivals

pytestmark = pytest.mark.lab


class Remembering(Peer):
    def __init__(self) -> None:
        super().__init__("nowhere")
        self.kept: list[float] = []
        self.gone: list[str] = []

    def accept(self, due: float) -> str:
        self.kept.append(due)
        return str(due)

    def cancel(self, task_id: str) -> None:
        self.gone.append(task_id)

    def work(self) -> None:
        raise NotImplementedError


def test_pending_tasks_are_apart_and_as_many_as_asked_for() -> None:
    peer = Remembering()
    peer.fill(3, 100)
    assert sorted(peer.kept) == [100, 100 + APART_S, 100 + 2 * APART_S]


def test_each_cancel_is_timed_and_is_of_a_task_of_its_own() -> None:
    peer = Remembering()
    took = peer.cancelled(3, 100)
    assert len(took) == 3
    assert peer.gone == ["100", "101", "102"]


def test_lateness_is_of_the_tasks_asked_for_and_of_whole_lines(tmp_path: Path) -> None:
    notes = tmp_path / "fired"
    assert lateness(notes, 0, 100) == []
    notes.write_text("9.0 9.5\n10.0 10.25\n11.0 11.5\n12.0 13.0\n11.0 1")
    assert lateness(notes, 10, 11) == [250, 500]


def test_a_rate_is_better_if_higher_and_the_rest_if_lower() -> None:
    results, rate, peer = Results(100), accepted(8), PEERS[0]
    for ours, theirs in ((90.0, 40.0), (100.0, 50.0), (500.0, 60.0)):
        for row in (BURST_P99, rate):
            results.add(row, OURS, ours)
            results.add(row, peer, theirs)
    assert results.lead(rate) == "2.00 times"
    assert results.lead(BURST_P99) == "behind: 0.50 times"
    assert results.lead(CANCEL) == ""
    assert results.rows() == [rate, BURST_P99]


def test_a_figure_that_is_missing_has_its_reason() -> None:
    def fail() -> None:
        raise PeerError("no answer")

    results = Results(100)
    with results.noted(PEERS[0], CANCEL):
        fail()
    assert results.cell(CANCEL, PEERS[0]) == "no answer"
    results.add(CANCEL, PEERS[0], 2)
    assert results.cell(CANCEL, PEERS[0]) == "2.00"


def test_only_those_are_compared_who_do_the_same() -> None:
    assert [peer.name for peer in rivals(accepted(1))] == ["APScheduler", "huey", "Celery", "procrastinate"]
    assert [peer.name for peer in rivals(CANCEL)] == ["APScheduler", "procrastinate"]


def test_a_server_that_is_not_installed_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert missing("postgres", "postgresql", programs=tmp_path) == (
        "`postgres` is not installed (on Debian: `apt install postgresql`)."
    )
    for version in ("9", "15"):
        (tmp_path / version / "bin").mkdir(parents=True)
        (tmp_path / version / "bin" / "postgres").touch()
    assert found("postgres", programs=tmp_path) == str(tmp_path / "15" / "bin" / "postgres")
    assert missing("postgres", "postgresql", programs=tmp_path) is None


def test_a_process_that_ends_says_its_last_words(tmp_path: Path) -> None:
    program = "import sys; sys.stdin.readline(); sys.exit('No space left.')"
    process = Process([executable, "-c", program], {}, tmp_path / "errors")
    try:
        with pytest.raises(PeerError, match="No space left"):
            process.ask("anything", 30)
    finally:
        process.end()


def test_a_process_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    process = Process([executable, "-c", "input(); input()"], {}, tmp_path / "errors")
    try:
        with pytest.raises(PeerError, match="no answer to anything"):
            process.ask("anything", 0.01)
        assert memory_mib([process]) > 0
    finally:
        process.end()
