"""What each of those that are compared is asked to do, over its standard input, and what it notes down.

Runs in the environment of the peer: the standard library only.
"""

import argparse
import json
import os
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

FAR_S: Final = 36_000
"""When pending tasks are due: long after the run."""
APART_S: Final = 0.03
"""How far pending tasks are apart."""
_AT_ONCE: Final = 8  # tasks that are accepted at once before their lateness is measured


class Peer(ABC):
    """One of those that are compared. `accept` is called by several threads at once."""

    def __init__(self, address: str) -> None:
        self.address = address

    def open(self) -> None:  # noqa: B027 - most need nothing of the kind
        """Get ready to accept."""

    @abstractmethod
    def accept(self, due: float) -> str:
        """Return the id of a task that is now kept durably."""

    @abstractmethod
    def cancel(self, task_id: str) -> None:
        """Return when it will not be run."""

    @abstractmethod
    def work(self) -> None:
        """Run what falls due, until ended; return where something else does that."""

    def fill(self, count: int, due: float) -> None:
        """Accept many, by the quickest way there is; whether they are durable does not matter."""
        self.due([due + number * APART_S for number in range(count)])

    def due(self, times: Sequence[float]) -> float:
        """Accept a task for each of the times, and return when that was done."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self.accept, times))
        return time.time()

    def rate(self, producers: int, begin: float, seconds: float) -> float:
        """Return how many tasks a second so many producers got accepted, each sending the next after the last."""
        counts = [0] * producers
        end = begin + seconds

        def produce(number: int) -> None:
            time.sleep(max(0.0, begin - time.time()))
            while True:
                self.accept(end + FAR_S)
                if time.time() >= end:
                    return
                counts[number] += 1

        threads = [threading.Thread(target=produce, args=(number,)) for number in range(producers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(counts) / seconds

    def cancelled(self, count: int, due: float) -> list[float]:
        """Return how many milliseconds each of so many cancels took, one after the other."""
        took = []
        for task_id in [self.accept(due + number) for number in range(count)]:
            begin = time.perf_counter()
            self.cancel(task_id)
            took.append((time.perf_counter() - begin) * 1000)
        return took


def fired(due: float) -> None:
    """Note down that a task runs now; what the job of each peer does."""
    note([due])


def note(dues: Sequence[float]) -> None:
    """Note down tasks that run now. One write, so that those of several processes do not mix."""
    now = time.time()
    os.write(_notes(), "".join(f"{due!r} {now!r}\n" for due in dues).encode())


def _notes(opened: list[int] = []) -> int:  # noqa: B006 - opened once a process
    if not opened:
        opened.append(os.open(os.environ["BENCH_FIRED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
    return opened[0]


def main(make: Callable[[str], Peer], roles: Sequence[str] = (), arguments: Sequence[str] | None = None) -> None:
    """Be a producer, which does what it reads, or a worker; `roles` are others, methods of the peer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["produce", "work", *roles])
    parser.add_argument("address")
    given = parser.parse_args(arguments)
    sys.stdout.flush()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    peer = make(given.address)
    if given.role == "produce":
        peer.open()
        _serve(peer, answers)
    else:
        getattr(peer, given.role)()


def _serve(peer: Peer, answers: Any) -> None:  # noqa: ANN401 - a text file
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = {"answer": getattr(peer, asked.pop("do"))(**asked)}
        except Exception as error:  # noqa: BLE001 - whatever a library raises is told in the table
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    os._exit(0)  # threads of a library may not want to end
