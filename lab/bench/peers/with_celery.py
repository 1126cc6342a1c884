"""Celery on Redis: tasks with an `eta`, which the worker holds in its memory until they are due."""

from datetime import UTC, datetime
from typing import Final

from celery import Celery
from redis import Redis

from lab.bench.peers.protocol import APART_S, FAR_S, Peer, fired, main

_PRODUCERS: Final = 32
_WORKER: Final = ("worker", "--loglevel=ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat")


class CeleryOnRedis(Peer):
    """An app that keeps no results; the pool of its worker is Celery's default."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
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
        redis = Redis(unix_socket_path=self.address)
        redis.config_set("appendfsync", "no")
        for number in range(count):
            self.accept(due + number * APART_S)
        redis.config_set("appendfsync", "always")

    def work(self) -> None:
        """Run a worker, with a process for each processor."""
        self._app.worker_main(_WORKER)


if __name__ == "__main__":
    main(CeleryOnRedis)
