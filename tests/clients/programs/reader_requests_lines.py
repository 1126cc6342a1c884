"""The event stream by the lines that requests finds in it: of text it also ends them at U+0085, U+2028 and U+2029."""

from collections.abc import Iterator

import requests

from tests.clients.programs.protocol import TIMEOUT_S, follow, frames


def events(url: str, headers: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        response.encoding = "utf-8"
        yield from frames(str(line) for line in response.iter_lines(decode_unicode=True))


if __name__ == "__main__":
    follow(events)
