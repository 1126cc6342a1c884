"""Sends requests to a server that may be dead, slow or out of room, until there is a definite answer."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import httpx

from lab.chaos.ledger import Ledger

_TIMEOUT: Final = httpx.Timeout(2)  # seconds; shorter than some pauses, so that requests linger in the server
_PAUSE_S: Final = 0.05
_GIVE_UP_S: Final = 120  # far longer than any fault
_AGAIN: Final = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
_RIGHT: Final = {HTTPStatus.OK, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}


@dataclass(frozen=True)
class Answer:
    """A definite answer."""

    status: int
    body: Mapping[str, Any]
    first: bool
    """Whether no earlier attempt got as far as the server."""


class Caller:
    """Sends to one server, and counts in the ledger what came back."""

    def __init__(self, url: str, secret: str, ledger: Ledger) -> None:
        self._ledger = ledger
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={"x-pd-secret": secret},
            timeout=_TIMEOUT,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=100),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def send(  # noqa: PLR0913 - the parts of a request
        self,
        operation: str,
        method: str,
        path: str,
        *,
        body: object = None,
        key: str | None = None,
        unanswered: Callable[[bool], None] = lambda _: None,
    ) -> Answer:
        """Return the definite answer; `unanswered` is told of every attempt that may have been heard.

        Its argument is whether that attempt may linger: the server lived on, and may come to it later.
        Raises TimeoutError where there is none within two minutes.
        """
        headers = {} if key is None else {"idempotency-key": key}
        content = None if body is None else json.dumps(body).encode()
        first = True
        async with asyncio.timeout(_GIVE_UP_S):
            while True:
                try:
                    response = await self._http.request(method, path, content=content, headers=headers)
                except (httpx.ConnectError, httpx.ConnectTimeout) as error:  # it was never sent
                    self._ledger.count(operation, type(error).__name__)
                except httpx.TransportError as error:
                    self._ledger.count(operation, type(error).__name__)
                    first = False
                    unanswered(isinstance(error, httpx.TimeoutException))
                else:
                    self._ledger.count(operation, str(response.status_code))
                    if response.status_code not in _AGAIN:
                        self._judge(operation, response)
                        return Answer(response.status_code, response.json(), first)
                    first = False
                    unanswered(False)  # noqa: FBT003 - it was heard, and is over
                await asyncio.sleep(_PAUSE_S)

    def _judge(self, operation: str, response: httpx.Response) -> None:
        if response.status_code not in _RIGHT:
            self._ledger.print_error(f"{operation} was answered {response.status_code}: {response.text[:200]}")
