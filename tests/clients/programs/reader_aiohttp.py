"""The event stream by the lines of aiohttp's `content`."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import aiohttp

from tests.clients.programs.protocol import TIMEOUT_S, follow, frames


async def _lines(url: str, headers: dict[str, str]) -> AsyncIterator[str]:
    timeout = aiohttp.ClientTimeout(sock_read=TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url, headers=headers) as response:
        async for line in response.content:
            yield line.decode().rstrip("\r\n")


def events(url: str, headers: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    with asyncio.Runner() as runner:
        lines = _lines(url, headers)

        def each() -> Iterator[str]:
            while (line := runner.run(anext(lines, None))) is not None:
                yield line

        yield from frames(each())


if __name__ == "__main__":
    follow(events)
