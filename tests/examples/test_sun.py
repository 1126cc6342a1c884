"""Sunrise and sunset: a chain of events that goes on over restarts, the change to summer time, and polar nights."""

from datetime import UTC, date, datetime, timedelta
from typing import Final

import pytest

from tests.examples.conftest import Engine
from tests.examples.printed import Running, Workplace, printed
from tests.support.clock import eventually

pytestmark = pytest.mark.slow

BERLIN: Final = printed("python examples/sun.py 52.52 13.405 Berlin Europe/Berlin")
TROMSO: Final = printed("python examples/sun.py 69.65 18.96 Tromsø Europe/Oslo")
NEXT_YEAR: Final = datetime.now(UTC).year + 1
SPRING: Final = datetime(NEXT_YEAR, 5, 1, 12, tzinfo=UTC)


def set_clock(engine: Engine, to: datetime) -> None:
    engine.advance(f"{(to - datetime.now(UTC)) // timedelta(seconds=1)}s")


def wait_for_starts(engine: Engine, count: int) -> None:
    """Return once so many copies have started: each knows from where on it listens."""
    eventually(lambda: sum(isinstance(one, dict) and one["sun"] == "start" for one in engine.messages()) == count)


def waiting(engine: Engine) -> dict[str, datetime]:
    """Return the next sunrise and the next sunset once both are scheduled."""

    def both() -> dict[str, datetime] | None:
        tasks = {task["message"]["sun"]: datetime.fromisoformat(task["timestamp"]) for task in engine.waiting()}
        return tasks if tasks.keys() == {"sunrise", "sunset"} else None

    return eventually(both)


def follow(engine: Engine, running: Running, *, days: int) -> list[str]:
    """Let days pass; returns what was announced."""
    for _ in range(days):
        before = len(running.lines())
        waiting(engine)
        engine.advance("1d")
        running.wait_for_lines(before + 2)
    return running.lines()


def test_each_event_schedules_the_next_over_the_change_to_summer_time(engine: Engine, workplace: Workplace) -> None:
    last_of_march = date(NEXT_YEAR, 3, 31)
    change = last_of_march - timedelta(days=last_of_march.isoweekday() % 7)
    set_clock(engine, datetime(NEXT_YEAR, 3, change.day - 2, 12, tzinfo=UTC))
    with workplace.running(BERLIN) as berlin:
        lines = follow(engine, berlin, days=4)
        assert berlin.stop() == 0
        assert berlin.errors() == ""
    dates = [str(change + timedelta(days=days)) for days in range(-2, 3)]
    seen = [(line[:10], line[20:]) for line in lines]
    assert seen == [
        (dates[0], "CET sunset in Berlin"),
        (dates[1], "CET sunrise in Berlin"),
        (dates[1], "CET sunset in Berlin"),
        (dates[2], "CEST sunrise in Berlin"),
        (dates[2], "CEST sunset in Berlin"),
        (dates[3], "CEST sunrise in Berlin"),
        (dates[3], "CEST sunset in Berlin"),
        (dates[4], "CEST sunrise in Berlin"),
    ]
    rises = [datetime.fromisoformat(line[:19]) for line in lines if "sunrise" in line]
    assert timedelta(minutes=55) < rises[1] - rises[0] - timedelta(days=1) < timedelta(minutes=60)
    assert timedelta(minutes=-4) < rises[2] - rises[1] - timedelta(days=1) < timedelta(0)


def test_restarts_and_a_second_copy_double_nothing(engine: Engine, workplace: Workplace) -> None:
    set_clock(engine, SPRING)
    with workplace.running(BERLIN) as one, workplace.running(BERLIN) as other:
        wait_for_starts(engine, 2)
        follow(engine, one, days=1)
        assert other.wait_for_lines(2) == one.lines()
        one.kill()
        follow(engine, other, days=1)
        expected = waiting(engine)
    with workplace.running(BERLIN) as again:
        wait_for_starts(engine, 3)
        follow(engine, again, days=1)
        assert waiting(engine).keys() == expected.keys()
        assert len(engine.waiting()) == 2
        assert len(again.lines()) == 2
    suns = [message["sun"] for message in engine.messages() if isinstance(message, dict)]
    assert suns.count("sunrise") == suns.count("sunset") == 3


def test_after_a_pause_it_goes_on_with_what_is_next(engine: Engine, workplace: Workplace) -> None:
    set_clock(engine, SPRING)
    with workplace.running(BERLIN):
        waiting(engine)
    engine.advance("10d")
    assert engine.waiting() == []
    with workplace.running(BERLIN) as berlin:
        now = SPRING + timedelta(days=10)
        assert all(now < at < now + timedelta(days=1) for at in waiting(engine).values())
        assert berlin.lines() == []


@pytest.mark.parametrize(
    ("starts", "ends"),
    [(date(NEXT_YEAR, 6, 10), date(NEXT_YEAR, 7, 27)), (date(NEXT_YEAR, 12, 5), date(NEXT_YEAR + 1, 1, 16))],
    ids=["polar day", "polar night"],
)
def test_a_day_without_a_sunrise_is_passed_over(engine: Engine, workplace: Workplace, starts: date, ends: date) -> None:
    set_clock(engine, datetime(starts.year, starts.month, starts.day, tzinfo=UTC))
    with workplace.running(TROMSO) as tromso:
        few = timedelta(days=3)
        assert all(abs(at.date() - ends) < few for at in waiting(engine).values())
        engine.advance(f"{(ends - starts + few).days}d")
        lines = tromso.wait_for_lines(2)
        assert all(line.endswith("in Tromsø") for line in lines)
        waiting(engine)


def test_a_place_that_is_none_is_refused(nowhere: Workplace) -> None:
    for arguments in ("91 0 x UTC", "nan 0 x UTC", "0 181 x UTC", "0 0 x ../etc/passwd"):
        done = nowhere.run(f"python examples/sun.py {arguments}")
        assert (done.returncode, done.stdout) == (2, ""), arguments
        assert "Traceback" not in done.stderr
