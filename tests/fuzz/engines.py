"""Both engines in one process: asked with the same bytes, they must give the same answer."""

import asyncio
import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from task_scheduler.api.apigateway import Handler

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
    """Build what API Gateway hands to a function (AWS, proxy integration, format 1.0)."""
    headers = dict(asked.headers)
    query = dict(asked.query)
    return {
        "resource": "/{proxy+}",
        "path": asked.path,
        "httpMethod": asked.method,
        "headers": headers or None,
        "multiValueHeaders": {name: [value] for name, value in headers.items()} or None,
        "queryStringParameters": query or None,
        "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} or None,
        "pathParameters": {"proxy": asked.path[1:]},
        "stageVariables": None,
        "requestContext": {"stage": "v1", "path": f"/v1{asked.path}", "httpMethod": asked.method},
        "body": base64.b64encode(asked.body).decode() if asked.body else None,
        "isBase64Encoded": bool(asked.body),
        **changes,
    }


def _answered(status: int, text: str) -> Answered:
    try:
        return Answered(status, json.loads(text))
    except ValueError:
        return Answered(status, text)
