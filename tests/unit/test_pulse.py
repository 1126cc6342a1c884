"""The pulse of the local server: late only while one turn of its loop lasts too long."""

import asyncio

from task_scheduler.local.pulse import Pulse


def test_a_turn_that_lasts_too_long_is_late_until_the_loop_comes_round_again() -> None:
    now_s = 100.0
    pulse = Pulse(lambda: now_s)

    async def scenario() -> None:
        nonlocal now_s
        with pulse.beating():
            now_s += 0.29
            seen = [pulse.is_late() for _ in range(101)]
            now_s += 0.02
            seen.append(pulse.is_late())
            await asyncio.sleep(0.1)  # two beats of the loop, which goes by its own clock
            seen += [pulse.is_late() for _ in range(101)]
            assert seen == [False] * 101 + [True] + [False] * 101

    asyncio.run(scenario())


def test_a_long_turn_with_few_requests_refuses_none() -> None:
    now_s = 100.0
    pulse = Pulse(lambda: now_s)
    now_s += 10
    assert not any(pulse.is_late() for _ in range(100))
    assert pulse.is_late()
