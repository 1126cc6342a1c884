"""The API over HTTP: every answer is held against the contract, and every promise in it is remembered."""

import json
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, TypeVar

import httpx

from tests.support.clock import milliseconds
from tests.support.contract import Contract, JsonObject

SECRET_HEADER: Final = "x-pd-secret"  # noqa: S105 - the name of a header, not a secret
IDEMPOTENCY_KEY: Final = "idempotency-key"
PAST: Final = "2020-08-21T04:29:00.951Z"

_ABSENT: Final = object()
_TIMEOUT: Final = httpx.Timeout(60)  # seconds; a long poll may take 29 (API Gateway)
_ATTEMPTS: Final = 8
_RETRY_S: Final = 1  # what Retry-After says
_Given = TypeVar("_Given")
_Got = TypeVar("_Got")


@dataclass(frozen=True)
class Deployment:
    """A running scheduler."""

    url: str
    secret: str | None = field(repr=False)  # pytest shows what a failed test was given
    kind: str
    """local, emulator or given."""

    @property
    def patience(self) -> float:
        """Seconds between two looks at it; each look at the emulator takes time from its work."""
        return 0.05 if self.kind == "local" else 0.25


@dataclass(frozen=True)
class Answer:
    """What came back, already held against the contract."""

    status: int
    body: JsonObject
    headers: httpx.Headers

    @property
    def errors(self) -> list[str]:
        """The sentences of an error."""
        return list(self.body["errors"])

    @property
    def asks_to_come_again(self) -> bool:
        """Whether it or one of its results is a 503: it was not done, or that is not known."""
        results = [result["status"] for result in self.body.get("results", [])]
        return httpx.codes.SERVICE_UNAVAILABLE in {self.status, *results}


@dataclass(frozen=True)
class Accepted:
    """A task that the server has promised to emit."""

    id: str
    timestamp: str

    @property
    def due_ms(self) -> int:
        """When it is due, in milliseconds since the Unix epoch."""
        return milliseconds(self.timestamp)


@dataclass
class Ledger:
    """What the server has promised to this client so far."""

    accepted: dict[str, Accepted] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)


class Api:
    """A client that sends anything and believes nothing."""

    def __init__(self, deployment: Deployment, ledger: Ledger | None = None) -> None:
        self.deployment = deployment
        self.ledger = ledger or Ledger()
        self.http = httpx.Client(base_url=deployment.url, timeout=_TIMEOUT)
        self.secret = {} if deployment.secret is None else {SECRET_HEADER: deployment.secret}
        self.contract = Contract(self.http.get("openapi.json").raise_for_status().json())

    def send(  # noqa: PLR0913 - the parts of a request
        self,
        method: str,
        path: str,
        *,
        body: object = _ABSENT,
        content: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str | bytes] | None = None,
        anonymous: bool = False,
    ) -> Answer:
        """Send a request with the JSON `body` or the raw `content`; with the secret unless `anonymous`.

        No answer may be a fault of the service's. AWS may ask to come again, and so may an emulator on a busy machine:
        then the request is repeated, as every client has to; but not a batch of tasks without a key.
        """
        if body is not _ABSENT:
            content = json.dumps(body).encode()
        if isinstance(content, Iterable) and not isinstance(content, bytes):
            content = list(content)  # it may be sent twice
        given = {"content-type": "application/json"} | ({} if anonymous else self.secret) | dict(headers or {})
        keyed = IDEMPOTENCY_KEY in {name.lower() for name in given}
        attempts = _ATTEMPTS if keyed or path != "/schedule/batch" else 1
        for attempt in range(attempts):
            request = self.http.build_request(method, path, content=content)
            request.headers.update(httpx.Headers([(name.encode(), _octets(value)) for name, value in given.items()]))
            request.headers.encoding = "latin-1"  # what is no ASCII in them is sent as it is
            response = self.http.send(request)
            self.contract.check(response, method=method, path=path)
            answer = Answer(response.status_code, json.loads(response.content), response.headers)
            self._remember(method, path, answer, keyed=keyed)
            if not answer.asks_to_come_again or self.deployment.kind == "local" or attempt == attempts - 1:
                break
            time.sleep(_RETRY_S)
        assert answer.status < httpx.codes.INTERNAL_SERVER_ERROR, answer
        return answer

    def schedule(self, body: Mapping[str, object]) -> Accepted:
        """Schedule a task that must be accepted."""
        answer = self.send("POST", "/schedule", body=body)
        assert answer.status == httpx.codes.OK, answer
        return self.ledger.accepted[answer.body["id"]]

    def schedule_batch(self, bodies: Sequence[object]) -> list[JsonObject]:
        """Schedule many tasks in one request that must be answered; returns what became of each."""
        headers = {IDEMPOTENCY_KEY: str(uuid.uuid4())}
        answer = self.send("POST", "/schedule/batch", body={"tasks": bodies}, headers=headers)
        assert answer.status == httpx.codes.OK, answer
        return list(answer.body["results"])

    def change(self, task_id: str, body: Mapping[str, object]) -> Accepted:
        """Change a task, which must be possible; returns what is promised from now on."""
        answer = self.send("PATCH", f"/tasks/{task_id}", body=body)
        assert answer.status == httpx.codes.OK, answer
        return self.ledger.accepted[task_id]

    def refuse(self, body: object) -> list[str]:
        """Try to schedule what must be refused as bad input; returns the sentences."""
        answer = self.send("POST", "/schedule", body=body)
        assert answer.status == httpx.codes.BAD_REQUEST, answer
        return answer.errors

    def cancel(self, task_id: str) -> Answer:
        """Try to cancel a task."""
        return self.send("POST", "/cancel", body={"id": task_id})

    def task(self, task_id: str) -> JsonObject:
        """Return a task that must be there."""
        answer = self.send("GET", f"/tasks/{task_id}")
        assert answer.status == httpx.codes.OK, answer
        return answer.body

    def few(self, values: Iterable[_Given]) -> list[_Given]:
        """Return all values; for the emulator, which is slow, at most four of them.

        For rules that the code applies before it asks an engine: both deployments run the same code.
        """
        listed = list(values)
        return listed if self.deployment.kind != "emulator" else listed[:: -(-len(listed) // 4) or 1]

    def _remember(self, method: str, path: str, answer: Answer, *, keyed: bool) -> None:
        if answer.status != httpx.codes.OK:
            return
        results = [result for result in answer.body.get("results", []) if result["status"] == httpx.codes.OK]
        if path == "/schedule":
            self._accept(answer.body, keyed=keyed)
        elif path == "/schedule/batch":
            for result in results:
                self._accept(result, keyed=keyed)
        elif path == "/cancel/batch":
            self.ledger.cancelled |= {result["id"] for result in results}
        elif path == "/cancel" or method == "DELETE":
            self.ledger.cancelled.add(answer.body["id"])
        elif method == "PATCH":
            self.ledger.accepted[answer.body["id"]] = Accepted(answer.body["id"], answer.body["timestamp"])

    def _accept(self, scheduled: JsonObject, *, keyed: bool) -> None:
        accepted = Accepted(scheduled["id"], scheduled["timestamp"])
        assert keyed or accepted.id not in self.ledger.accepted, "two tasks have the same id"
        self.ledger.accepted.setdefault(accepted.id, accepted)


def together(call: Callable[[_Given], _Got], given: Iterable[_Given], *, at_once: int = 8) -> list[_Got]:
    """Return `call(item)` for each item, in order, several at a time."""
    with ThreadPoolExecutor(at_once) as threads:
        return list(threads.map(call, given))


def _octets(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
