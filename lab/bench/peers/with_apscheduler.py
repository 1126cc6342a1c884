"""APScheduler 3 with its SQLAlchemy job store on SQLite. Producers are threads of the process that runs the jobs."""

import sqlite3
from datetime import UTC, datetime

from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import Engine, create_engine, event

from lab.bench.peers.protocol import APART_S, Peer, fired, main


class APScheduler(Peer):
    """One scheduler: its documentation allows one process for each job store."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self._synchronous = "FULL"
        self._engine = self._opened()
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            jobstores={"default": {"type": "sqlalchemy", "engine": self._engine}},
            # By default a job that is a second late is not run.
            job_defaults={"misfire_grace_time": None},
        )

    def open(self) -> None:
        """Begin to run what falls due, too."""
        self._scheduler.start()

    def _opened(self) -> Engine:
        engine = create_engine(f"sqlite:///{self.address}", connect_args={"timeout": 60, "check_same_thread": False})

        def durable(connection: sqlite3.Connection, _record: object) -> None:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")

        event.listen(engine, "connect", durable)
        return engine

    def accept(self, due: float) -> str:
        """Add a job; `add_job` returns after the commit."""
        job = self._scheduler.add_job(fired, "date", run_date=datetime.fromtimestamp(due, UTC), args=(due,))
        return str(job.id)

    def cancel(self, task_id: str) -> None:
        """Remove the job."""
        self._scheduler.remove_job(task_id)

    def fill(self, count: int, due: float) -> None:
        """Add many without a sync for each, while nothing is run."""
        self._scheduler.pause()
        self._reopen("OFF")
        for number in range(count):
            self.accept(due + number * APART_S)
        self._reopen("FULL")
        self._scheduler.resume()

    def _reopen(self, synchronous: str) -> None:
        self._synchronous = synchronous
        self._engine.dispose()  # connections to come are set anew

    def work(self) -> None:
        """Do nothing: it works where it accepts."""


if __name__ == "__main__":
    main(APScheduler)
