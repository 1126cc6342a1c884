"""What becomes of tasks on AWS, seen from outside: by a listener, by a subscriber, and by looking all up in the end."""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import httpx
import httpx_sse

from emulator import Deployment
from lab.chaos.aws.caller import now_ms
from lab.chaos.ledger import Delivered, Emitted, Kept, Ledger, Seen

LISTEN: Final = "GET /events (stream)"
_TIMEOUT_S: Final = 60
_PAUSE_S: Final = 0.25
_PAUSES_S: Final = (1, 2, 4, 8)
_OK: Final = 200
_PAGE: Final = 1000


class Listener:
    """Follows GET /events from the first event on; comes back by Last-Event-ID whenever it is cut off."""

    def __init__(self, http: httpx.AsyncClient, ledger: Ledger) -> None:
        self._http = http
        self._ledger = ledger
        self.seen: Final[list[Seen]] = []
        self.position = 0
        self.longest_s: Final[dict[str, float]] = defaultdict(float)
        """How long a poll took at most, by answer."""
        self._news = asyncio.Event()

    async def reach(self, sequence: int) -> None:
        """Wait until it has got the event of this number, or a later one."""
        while self.position < sequence:
            self._news.clear()
            await self._news.wait()

    async def listen(self) -> None:
        """Listen until cancelled."""
        while True:
            started = time.monotonic()
            try:
                outcome = await self._poll()
            except (httpx.TransportError, httpx_sse.SSEError) as error:
                outcome = type(error).__name__
            took = f"{LISTEN} {outcome}"
            self.longest_s[took] = max(self.longest_s[took], time.monotonic() - started)
            self._ledger.count(LISTEN, outcome)
            await asyncio.sleep(_PAUSE_S)

    async def _poll(self) -> str:
        headers = {"last-event-id": str(self.position)}
        connecting = httpx_sse.aconnect_sse(self._http, "GET", "events", headers=headers, timeout=_TIMEOUT_S)
        async with connecting as source:
            if source.response.status_code == _OK:
                async for frame in source.aiter_sse():
                    if frame.event == "message" and frame.data:
                        self._take(frame)
            return str(source.response.status_code)

    def _take(self, frame: httpx_sse.ServerSentEvent) -> None:
        self.seen.append(Seen(Emitted.read(frame.json()), now_ms()))
        self.position = int(frame.id)
        self._news.set()


class Subscriber:
    """A queue of somebody's own that subscribes to the topic; it keeps all that it gets until the end."""

    def __init__(self, deployment: Deployment) -> None:
        self._sqs = deployment.client("sqs")
        self._queue = self._sqs.create_queue(QueueName="chaos-subscriber")["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"]
        deployment.client("sns").subscribe(
            TopicArn=deployment.outputs["TopicArn"],
            Protocol="sqs",
            Endpoint=arn["QueueArn"],
            Attributes={"RawMessageDelivery": "true"},
        )

    def received(self) -> list[Delivered]:
        """Return everything that came, repetitions too."""
        found: list[Delivered] = []
        while True:
            messages = self._sqs.receive_message(
                QueueUrl=self._queue,
                MaxNumberOfMessages=10,
                VisibilityTimeout=3600,
                MessageSystemAttributeNames=["SentTimestamp"],
            ).get("Messages", [])
            if not messages:
                return found
            found += [
                Delivered.read(json.loads(message["Body"]), int(message["Attributes"]["SentTimestamp"]))
                for message in messages
            ]


async def log(http: httpx.AsyncClient) -> list[Emitted]:
    """Return the whole event log."""
    found: list[Emitted] = []
    position = 0
    while page := (await _get(http, "events", {"after": position, "limit": _PAGE}))["events"]:
        found += [Emitted.read(envelope) for envelope in page]
        position = found[-1].sequence
    return found


async def tasks(http: httpx.AsyncClient, status: str = "") -> list[Kept]:
    """Return all tasks, or those of one status."""
    found: list[Kept] = []
    asked: dict[str, str | int] = {"limit": _PAGE} | ({"status": status} if status else {})
    while True:
        page = await _get(http, "tasks", asked)
        found += [Kept.read(task) for task in page["tasks"]]
        if page["cursor"] is None:
            return found
        asked = {**asked, "cursor": page["cursor"]}


async def _get(http: httpx.AsyncClient, path: str, asked: Mapping[str, str | int]) -> Any:  # noqa: ANN401 - JSON
    """Return an answer that must come; a machine that is busy with the end of the run may need another try."""
    for pause_s in _PAUSES_S:
        with suppress(httpx.HTTPError):
            return (await http.get(path, params=asked, timeout=_TIMEOUT_S)).raise_for_status().json()
        await asyncio.sleep(pause_s)
    return (await http.get(path, params=asked, timeout=_TIMEOUT_S)).raise_for_status().json()
