"""The event stream by the packages requests and sseclient-py."""

from collections.abc import Iterator

import requests
import sseclient

from tests.clients.programs.protocol import TIMEOUT_S, follow


def events(url: str, headers: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        for event in sseclient.SSEClient(iter(response)).events():
            yield event.id or "", event.event, event.data


if __name__ == "__main__":
    follow(events)
