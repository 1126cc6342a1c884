"""The reminder service: what is added is delivered once, what is cancelled is not."""

from typing import Final

import pytest

from tests.examples.conftest import Engine
from tests.examples.printed import Workplace, printed
from tests.support.clock import eventually

pytestmark = pytest.mark.slow

ADD: Final = printed('python examples/reminders.py add "in 2h" "call mum" --for luke')
ADD_LATER: Final = printed(
    'python examples/reminders.py add "2030-12-24 18:00" "light the candles" --for luke --timezone Europe/Berlin'
)
LIST: Final = printed("python examples/reminders.py list --for luke")
CANCEL: Final = printed("python examples/reminders.py cancel $ID")
RUN: Final = printed("python examples/reminders.py run")


def succeed(workplace: Workplace, command: str, **variables: str) -> str:
    done = workplace.run(command, **variables)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_reminders_are_listed_and_delivered_to_whom_they_are_for(engine: Engine, workplace: Workplace) -> None:
    later = succeed(workplace, ADD_LATER)
    assert later.endswith(" at 2030-12-24 17:00:00 UTC\n")
    soon = succeed(workplace, ADD)
    succeed(workplace, ADD.replace("luke", "leia"))
    engine.api.schedule({"in": "1h", "message": "of another app", "tags": {"user": "luke"}})
    listed = succeed(workplace, LIST).splitlines()
    assert listed == [f"{soon.strip()} for luke: call mum", f"{later.strip()} for luke: light the candles"]
    assert len(succeed(workplace, LIST.removesuffix(" --for luke")).splitlines()) == 3
    with workplace.running(RUN) as runner:
        engine.advance("2h")
        assert runner.wait_for_lines(2) == ["To luke: call mum", "To leia: call mum"]
        assert runner.stop() == 0
        assert runner.errors() == ""


def test_what_falls_due_while_nothing_runs_is_delivered_once(engine: Engine, workplace: Workplace) -> None:
    succeed(workplace, ADD)
    engine.advance("2h")
    with workplace.running(RUN) as runner:
        runner.wait_for_lines(1)
        eventually((workplace.folder / "reminders.position").exists)
    succeed(workplace, ADD.replace("mum", "dad"))
    engine.advance("2h")
    with workplace.running(RUN) as runner:
        assert runner.wait_for_lines(1) == ["To luke: call dad"]


def test_a_cancel_tells_the_truth(engine: Engine, workplace: Workplace) -> None:
    kept, cancelled = (succeed(workplace, ADD).split()[0] for _ in range(2))
    assert succeed(workplace, CANCEL, ID=cancelled) == "Cancelled; it will not be delivered.\n"
    engine.advance("2h")
    late = workplace.run(CANCEL, ID=kept)
    assert (late.returncode, late.stdout) == (1, "")
    assert late.stderr.startswith("Too late: ")
    assert "already emitted at" in late.stderr
    unknown = workplace.run(CANCEL, ID="nobody")
    assert unknown.returncode == 1
    assert len(unknown.stderr.splitlines()) == 1
    with workplace.running(RUN) as runner:
        assert runner.wait_for_lines(1) == ["To luke: call mum"]


def test_a_time_that_is_none_is_a_sentence_and_exit_code_1(engine: Engine, workplace: Workplace) -> None:
    for when in ('soon"', 'in a while"', '2030-02-30 10:00"', 'in 2h" --timezone UTC', '2030-01-01" --timezone X'):
        done = workplace.run(f'python examples/reminders.py add "{when} --for luke text')
        assert (done.returncode, done.stdout) == (1, ""), when
        assert len(done.stderr.splitlines()) == 1
    assert engine.waiting() == []


def test_a_file_that_holds_no_position_is_left_alone(nowhere: Workplace) -> None:
    (nowhere.folder / "reminders.position").write_text("seven")
    done = nowhere.run(RUN)
    assert done.returncode == 1
    assert "holds no position" in done.stderr
