"""The package aiohttp, with one session; its loop goes on while it waits for the next request."""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from tests.clients.programs.protocol import TIMEOUT_S, Request, parse, write


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    for piece in request.pieces():
        yield piece


async def send(session: aiohttp.ClientSession, request: Request) -> tuple[int, Any]:
    chunked = request.framing == "chunked"
    async with session.request(
        request.method,
        request.url,
        headers=request.headers,
        data=_pieces(request) if chunked else None,
        json=None if chunked else request.json(),
        expect100=request.framing == "expect",
    ) as response:
        return response.status, await response.json() if await response.read() else None


async def main() -> None:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(TIMEOUT_S)) as session:
        while line := await asyncio.to_thread(sys.stdin.readline):
            try:
                status, body = await send(session, parse(line))
                write({"status": status, "body": body})
            except Exception as error:  # noqa: BLE001 - the test wants to know whatever went wrong
                write({"error": repr(error)})


if __name__ == "__main__":
    asyncio.run(main())
