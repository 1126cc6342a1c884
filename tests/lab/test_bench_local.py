"""The bench of the local engine measures a real server, from outside."""

from pathlib import Path

import pytest
import uvloop

from lab.bench.limit import LIMIT
from lab.bench.local import _closed_loop, _emitted_ms, _late, _schedule_soon, fill
from lab.support.server import OURS, serving

pytestmark = [pytest.mark.lab, pytest.mark.slow]


@pytest.mark.parametrize("program", [OURS, LIMIT], ids=["ours", "limit"])
def test_what_is_accepted_is_counted(tmp_path: Path, program: tuple[str, ...]) -> None:
    with serving(tmp_path / "tasks.db", program) as (target, server):
        assert uvloop.run(_closed_loop(target, 4, 0.2)) > 0
        assert server.memory_mib() > 1


def test_lateness_is_from_the_time_of_a_task_until_a_listener_has_it(tmp_path: Path) -> None:
    fill(tmp_path / "tasks.db", 10)
    with serving(tmp_path / "tasks.db") as (target, _):
        late = uvloop.run(_late(target, [0, 5, 10]))
    assert len(late) == 3
    assert min(late) >= 0


def test_a_task_that_waited_through_a_crash_is_emitted_after_the_next_start(tmp_path: Path) -> None:
    with serving(tmp_path / "tasks.db") as (target, server):
        status, task_id = uvloop.run(_schedule_soon(target))
        assert status == 200
        server.kill()
    with serving(tmp_path / "tasks.db") as (target, server):
        assert uvloop.run(_emitted_ms(target, task_id)) >= server.spawned_ms
