"""procrastinate on PostgreSQL, with its worker in a process of its own."""

from datetime import UTC, datetime
from typing import Final

from procrastinate import App, PsycopgConnector, SyncPsycopgConnector

from lab.bench.peers.protocol import APART_S, Peer, fired, main

_PRODUCERS: Final = 32
_CONCURRENCY: Final = 10
_POLLS_S: Final = 0.1  # what is due is found by polling; by default every 5 s
_AT_ONCE: Final = 1000


async def _fire(due: float) -> None:
    fired(due)


class Procrastinate(Peer):
    """An app whose producers have a connection each."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self._app = App(connector=SyncPsycopgConnector(conninfo=address, min_size=1, max_size=_PRODUCERS))

    def prepare(self) -> None:
        """Make its tables."""
        with self._app.open():
            self._app.schema_manager.apply_schema()

    def open(self) -> None:
        """Connect the producers."""
        self._app.open()

    def accept(self, due: float) -> str:
        """Defer it; returns after the commit."""
        at = datetime.fromtimestamp(due, UTC)
        return str(self._app.configure_task("fired", schedule_at=at).defer(due=due))

    def cancel(self, task_id: str) -> None:
        """Set its state."""
        if not self._app.job_manager.cancel_job_by_id(int(task_id)):
            raise RuntimeError("The job was not cancelled.")

    def fill(self, count: int, due: float) -> None:
        """Defer many in one statement; those of one statement are due together."""
        for number in range(0, count, _AT_ONCE):
            at = datetime.fromtimestamp(due + number * APART_S, UTC)
            jobs = [{"due": due}] * min(_AT_ONCE, count - number)
            self._app.configure_task("fired", schedule_at=at).batch_defer(*jobs)

    def work(self) -> None:
        """Run a worker, which also hears of new jobs by LISTEN."""
        app = App(connector=PsycopgConnector(conninfo=self.address))
        app.task(name="fired")(_fire)
        app.run_worker(concurrency=_CONCURRENCY, fetch_job_polling_interval=_POLLS_S)


if __name__ == "__main__":
    main(Procrastinate, roles=["prepare"])
