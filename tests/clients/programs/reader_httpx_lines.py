"""The event stream by the lines that httpx finds in it: it also ends a line at U+0085, U+2028 and U+2029."""

from collections.abc import Iterator

import httpx

from tests.clients.programs.protocol import TIMEOUT_S, follow, frames


def events(url: str, headers: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    with httpx.stream("GET", url, headers=headers, timeout=TIMEOUT_S) as response:
        yield from frames(response.iter_lines())


if __name__ == "__main__":
    follow(events)
