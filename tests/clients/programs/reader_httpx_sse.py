"""The event stream by the package httpx-sse."""

from collections.abc import Iterator

import httpx
import httpx_sse

from tests.clients.programs.protocol import TIMEOUT_S, follow


def events(url: str, headers: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    with (
        httpx.Client(timeout=TIMEOUT_S) as client,
        httpx_sse.connect_sse(client, "GET", url, headers=headers) as source,
    ):
        for event in source.iter_sse():
            yield event.id, event.event, event.data


if __name__ == "__main__":
    follow(events)
