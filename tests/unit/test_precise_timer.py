"""The precise timer: it rings on the event loop, after its time, once, and the last setting counts."""

import asyncio
import threading
import time

from task_scheduler.local.precise_timer import PreciseTimer


def test_it_rings_on_the_loop_once_and_not_before_its_time() -> None:
    async def scenario() -> None:
        rung: asyncio.Queue[tuple[float, int]] = asyncio.Queue()
        alarm = PreciseTimer(lambda: rung.put_nowait((time.monotonic(), threading.get_ident())))
        for seconds in (0.0203, 0.0, -1.0):
            began = time.monotonic()
            alarm.set(seconds)
            at, thread = await rung.get()
            assert at >= began + seconds
            assert thread == threading.get_ident()
        await asyncio.sleep(0.01)
        assert rung.empty()
        await alarm.close()

    asyncio.run(scenario())


def test_the_last_setting_counts_and_none_after_its_end() -> None:
    async def scenario() -> None:
        rung: asyncio.Queue[float] = asyncio.Queue()
        alarm = PreciseTimer(lambda: rung.put_nowait(time.monotonic()))
        began = time.monotonic()
        alarm.set(3_600)
        alarm.set(0.01)
        assert await rung.get() >= began + 0.01
        alarm.set(0.005)
        alarm.set(3_600)
        await alarm.close()
        assert rung.empty()

    asyncio.run(scenario())
