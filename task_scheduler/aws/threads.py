"""Runs calls that wait for the network side by side."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Result = TypeVar("Result")


def run_all(call: Callable[[Given], Result], each: Sequence[Given], *, threads: int) -> list[Result]:
    """Return the result of a call for each item, in their order; what a call raises is raised here.

    With one thread the calls are made one after the other, in this thread.
    """
    if threads == 1 or len(each) <= 1:
        return [call(one) for one in each]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(call, each))
