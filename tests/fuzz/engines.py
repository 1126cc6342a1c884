"""Both engines in one process: asked with the same bytes, they must give the same answer."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from task_scheduler.api.apigateway import Handler
from tests.support.gateway import proxy_event

SECRET: Final = "the-configured-secret"  # noqa: S105 - of nothing
BASE: Final = "http://127.0.0.1"


@dataclass(frozen=True)
class Asked:
    """A request as both engines can get it."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: {"x-pd-secret": SECRET})
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answered:
    """What came back."""

    status: int
    body: Any
    """JSON, or text."""

    def check(self) -> None:
        """Fail unless it is a good answer, or an error of the one shape that is no fault of ours."""
        assert self.status < 500, self
        if self.status >= 400:
            assert isinstance(self.body, dict), self
            assert set(self.body) == {"errors"}, self
            assert self.body["errors"], self
            assert all(isinstance(sentence, str) and " " in sentence for sentence in self.body["errors"]), self


Engine = Callable[[Asked], Answered]


@dataclass(frozen=True)
class LocalApp:
    """The local server's application."""

    client: httpx.AsyncClient
    runner: asyncio.Runner

    def __call__(self, asked: Asked) -> Answered:
        """Ask it."""
        answer = self.runner.run(
            self.client.request(
                asked.method,
                BASE + asked.path,
                content=asked.body,
                headers={name: value.encode("latin-1") for name, value in asked.headers.items()},  # type: ignore[arg-type]  # httpx takes bytes there
                params=dict(asked.query) or None,
            )
        )
        return _answered(answer.status_code, answer.text)


@dataclass(frozen=True)
class Function:
    """The function behind API Gateway."""

    call: Handler
    settle: Callable[[], None]
    """Emits what is due, as the timers and the recorder do meanwhile."""

    def __call__(self, asked: Asked) -> Answered:
        """Hand it the event of a REST API."""
        found = self.call(event(asked), None)
        self.settle()
        assert found["isBase64Encoded"] is False, found
        return _answered(found["statusCode"], found["body"])


def event(asked: Asked, **changes: object) -> dict[str, Any]:
    """Return what API Gateway hands to a function."""
    return proxy_event(asked.method, asked.path, asked.body, asked.headers, asked.query.items()) | changes


def _answered(status: int, text: str) -> Answered:
    try:
        return Answered(status, json.loads(text))
    except ValueError:
        return Answered(status, text)
