"""huey on SQLite, with its consumer in a process of its own."""

from datetime import UTC, datetime

from huey import SqliteHuey

from lab.bench.peers.protocol import APART_S, Peer, beside, fired, main

_WORKERS = 4
_POLLS_S = 0.1  # at least so often; by default it slows down to 10 s when nothing comes


class Huey(Peer):
    """A queue on a file, synced at each commit."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self._huey = self._opened(fsync=True)
        self._job = self._huey.task(name="fired")(fired)

    def _opened(self, *, fsync: bool) -> SqliteHuey:
        file = str(beside(self.address, "huey.db"))
        return SqliteHuey("bench", filename=file, fsync=fsync, timeout=60, results=False, utc=True)

    def accept(self, due: float) -> str:
        """Enqueue it; the consumer moves it to the schedule."""
        task = self._job.s(due, eta=datetime.fromtimestamp(due, UTC))
        self._huey.enqueue(task)
        return str(task.id)

    def cancel(self, task_id: str) -> None:
        """Leave a mark that the consumer finds when the task is due."""
        self._huey.revoke_by_id(task_id)

    def fill(self, count: int, due: float) -> None:
        """Write into the schedule what the consumer would move there."""
        huey = self._opened(fsync=False)
        job = huey.task(name="fired")(fired)
        for number in range(count):
            at = due + number * APART_S
            huey.add_schedule(job.s(at, eta=datetime.fromtimestamp(at, UTC)))

    def work(self) -> None:
        """Run the consumer. A second is the least that its schedule can be looked at by."""
        options = {"workers": _WORKERS, "scheduler_interval": 1, "max_delay": _POLLS_S, "periodic": False}
        self._huey.create_consumer(**options).run()


if __name__ == "__main__":
    main(Huey)
