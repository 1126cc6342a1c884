"""A server that is killed, or stopped, in the middle of a load keeps every promise once it runs again."""

import random
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support.api import Api, Ledger
from tests.support.clock import eventually
from tests.support.event_log import EventLog, audit
from tests.support.local_server import LocalServer

pytestmark = pytest.mark.slow

_ROUNDS = 3
_ACCEPTED_A_ROUND = 150
_SECRET = "of a server that lives for a second"  # noqa: S105 - it guards nothing


def _load(api: Api, seed: int) -> None:
    """Schedule, and cancel one in five, until the server is gone."""
    choose = random.Random(seed)  # noqa: S311 - makes a load, no secret
    try:
        while True:
            task = api.schedule({"in": choose.choice([0, choose.random() * 3, 4]), "message": f"😀 {seed}"})
            if choose.random() < 0.2:
                # Should the answer not come, either is right: such a task is not looked at.
                del api.ledger.accepted[task.id]
                if api.cancel(task.id).status == 409:
                    api.ledger.accepted[task.id] = task
    except httpx.TransportError:
        return


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_every_accepted_task_is_emitted_once_after_a_restart(tmp_path: Path, how: signal.Signals) -> None:
    """And no task whose cancellation was confirmed is, whatever the process was at when it ended."""
    data = tmp_path / "tasks.db"
    ledger = Ledger()
    for _ in range(_ROUNDS):
        enough = len(ledger.accepted) + _ACCEPTED_A_ROUND
        with LocalServer(data, secret=_SECRET) as server, ThreadPoolExecutor() as threads:
            api = server.api(ledger)
            for seed in range(8):
                threads.submit(_load, api, seed)
            eventually(lambda wanted=enough: len(ledger.accepted) >= wanted, every=0.001)  # type: ignore[misc]  # mypy sees no type in a default
            assert server.stop(how) == (0 if how is signal.SIGTERM else -how)
    with LocalServer(data, secret=_SECRET) as server:
        api = server.api(ledger)
        log = EventLog(api, after=0)
        envelopes = log.wait_for(ledger.accepted.values())
        assert all(envelope["event"]["message"].startswith("😀") for envelope in envelopes)
        log.pass_by(max(task.due_ms for task in ledger.accepted.values()))
        audit(api, log)
    assert ledger.cancelled
