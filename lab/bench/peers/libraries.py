"""The four libraries; each is imported only where it is used, from the environment of the peers."""

# ruff: noqa: ANN401, PLC0415 - the libraries have no types, and a process needs one of them

import sqlite3
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from lab.bench.peers.protocol import APART_S, FAR_S, Peer, fired, main

_PRODUCERS: Final = 32
_POLLS_S: Final = 0.1  # at least so often; by default huey slows down to 10 s, and procrastinate polls every 5 s
_WORKERS: Final = 4
_WORKER: Final = ("worker", "--loglevel=ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat")
_CONCURRENCY: Final = 10
_AT_ONCE: Final = 1000


class APScheduler(Peer):
    """One scheduler: its documentation allows one process for each job store."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        from apscheduler.schedulers.background import BackgroundScheduler

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

    def _opened(self) -> Any:
        from sqlalchemy import create_engine, event

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


class Huey(Peer):
    """A queue on a file, synced at each commit."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self._huey = self._opened(fsync=True)
        self._job = self._huey.task(name="fired")(fired)

    def _opened(self, *, fsync: bool) -> Any:
        from huey import SqliteHuey

        file = str(Path(self.address).with_name("huey.db"))
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


class CeleryOnRedis(Peer):
    """An app that keeps no results; the pool of its worker is Celery's default."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        from celery import Celery

        self._app = Celery("bench", broker=f"redis+socket://{address}", set_as_current=True)
        self._app.conf.update(
            task_ignore_result=True,
            broker_pool_limit=_PRODUCERS,
            # Longer than any task is ahead, as its documentation asks: else tasks run twice.
            broker_transport_options={"visibility_timeout": 3 * FAR_S},
        )
        self._job = self._app.task(name="fired")(fired)

    def accept(self, due: float) -> str:
        """Publish it; Redis answers after what `appendfsync` asks for."""
        return str(self._job.apply_async((due,), eta=datetime.fromtimestamp(due, UTC)).id)

    def cancel(self, task_id: str) -> None:
        """Tell the workers that run; nothing of it is kept."""
        self._app.control.revoke(task_id)

    def fill(self, count: int, due: float) -> None:
        """Publish many without a sync for each."""
        from redis import Redis

        redis = Redis(unix_socket_path=self.address)
        redis.config_set("appendfsync", "no")
        for number in range(count):
            self.accept(due + number * APART_S)
        redis.config_set("appendfsync", "always")

    def work(self) -> None:
        """Run a worker, with a process for each processor."""
        self._app.worker_main(_WORKER)


async def _fire(due: float) -> None:
    fired(due)


class Procrastinate(Peer):
    """An app whose producers have a connection each."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        from procrastinate import App, SyncPsycopgConnector

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
        from procrastinate import App, PsycopgConnector

        app = App(connector=PsycopgConnector(conninfo=self.address))
        app.task(name="fired")(_fire)
        app.run_worker(concurrency=_CONCURRENCY, fetch_job_polling_interval=_POLLS_S)


if __name__ == "__main__":
    [peer] = [one for one in Peer.__subclasses__() if one.__name__ == sys.argv[1]]
    main(peer, roles=["prepare"], arguments=sys.argv[2:])
