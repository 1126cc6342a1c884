"""The routes: one table of plain functions from a request and an engine to a response."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

from task_scheduler import __version__, timestamp
from task_scheduler.engine import Engine, TaskNotFoundError
from task_scheduler.http import sse
from task_scheduler.http.body import read_object
from task_scheduler.http.errors import BadRequestError
from task_scheduler.http.message import Request, Response, json_response
from task_scheduler.task import Status, Task, is_task_id, new_task, read_event

LONG_POLL_S: Final = 25.0
"""How long an answer may wait for an event: API Gateway gives an integration 29 s (AWS, API Gateway quotas)."""

_MAX_LIMIT: Final = 1_000
_DEFAULT_LIMIT: Final = 100
_MAX_SEQUENCE: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Context:
    """What a route works with."""

    engine: Engine
    streams: bool
    """Whether an answer may go on for ever; where not, the event stream is made of long polls."""


Handler = Callable[[Request, Context], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path."""

    handler: Handler
    guarded: bool = True
    """Whether the secret is asked for."""


async def schedule(request: Request, context: Context) -> Response:
    """Accept a task."""
    body = read_object(request.body)
    task = new_task(body, task_id=str(uuid.uuid4()), now_ms=context.engine.now_ms())
    await context.engine.schedule(task)
    due = timestamp.format(task.due_ms)
    return json_response({"id": task.id, "message": f"Scheduled task at {due}", "timestamp": due})


async def cancel(request: Request, context: Context) -> Response:
    """Cancel the task that the body names."""
    task_id = read_object(request.body).get("id")
    if not isinstance(task_id, str):
        state = "must be a string" if task_id is not None else "is missing"
        raise BadRequestError(
            f'id {state}: give the id that the answer to /schedule had, as in {{"id": "{uuid.UUID(int=0)}"}}.'
        )
    return await _cancel(task_id, context)


async def cancel_task(request: Request, context: Context) -> Response:
    """Cancel the task that the path names."""
    return await _cancel(request.params["task_id"], context)


async def get_task(request: Request, context: Context) -> Response:
    """Show one task."""
    return json_response(_view(await context.engine.get(_known(request.params["task_id"]))))


async def events(request: Request, context: Context) -> Response:
    """Show what was emitted: as a page, or as a stream to those who accept one."""
    streamed = sse.CONTENT_TYPE in request.headers.get("accept", "").lower()
    errors: list[str] = []
    after = _whole(request.query, "after", errors, most=_MAX_SEQUENCE)
    if streamed and (last_event_id := request.headers.get("last-event-id")):
        after = _whole({"Last-Event-ID": last_event_id}, "Last-Event-ID", errors, most=_MAX_SEQUENCE)
    limit = _whole(request.query, "limit", errors, least=1, most=_MAX_LIMIT)
    if errors:
        raise BadRequestError(*errors)
    if streamed:
        return await _stream(context, after)
    after = after or 0
    page = await context.engine.events(after=after, limit=_DEFAULT_LIMIT if limit is None else limit)
    position = page[-1].sequence if page else after
    text = ",".join(map(sse.envelope, page))
    return Response(status=200, body=f'{{"events":[{text}],"position":{position}}}'.encode())


async def health(_request: Request, _context: Context) -> Response:
    """Tell that the process lives, and its version."""
    return json_response({"status": "ok", "version": __version__})


async def contract(_request: Request, _context: Context) -> Response:
    """Show the OpenAPI description of this API."""
    return Response(status=200, body=openapi())


ROUTES: Final[Mapping[str, Mapping[str, Route]]] = {
    "/schedule": {
        "POST": Route(schedule),
        "GET": Route(schedule),
    },  # GET: what Pipedream's documented snippet sends
    "/cancel": {"POST": Route(cancel), "DELETE": Route(cancel)},
    "/tasks/{task_id}": {"GET": Route(get_task), "DELETE": Route(cancel_task)},
    "/events": {"GET": Route(events)},
    "/health": {"GET": Route(health, guarded=False)},
    "/openapi.json": {"GET": Route(contract, guarded=False)},
}


@cache
def openapi() -> bytes:
    """Return the text of the OpenAPI description that ships with this package."""
    return resources.files(__package__).joinpath("openapi.json").read_bytes()


async def _cancel(task_id: str, context: Context) -> Response:
    task = await context.engine.cancel(_known(task_id))
    return json_response({"id": task.id, "message": f"Cancelled task {task.id}"})


def _known(task_id: str) -> str:
    """Return `task_id` if it can be one of ours; a text of another form names no task."""
    task_id = task_id.lower()
    if not is_task_id(task_id):
        raise TaskNotFoundError(f"No task has the id {task_id[:80]!r}.")
    return task_id


def _view(task: Task) -> dict[str, Any]:
    """Show a task as GET /tasks/{id} does."""
    event = read_event(task.event)
    ended = {
        f"{status}_at": timestamp.format(task.ended_ms) if task.status is status and task.ended_ms is not None else None
        for status in (Status.EMITTED, Status.CANCELLED, Status.FAILED)
    }
    return {
        "id": task.id,
        "status": task.status,
        "timestamp": timestamp.format(task.due_ms),
        "message": event.pop("message"),
        "extra": {name: value for name, value in event.items() if name not in {"id", "timestamp"}},
        "created_at": timestamp.format(task.created_ms),
        **ended,
    }


async def _stream(context: Context, after: int | None) -> Response:
    pieces: bytes | AsyncIterator[bytes]
    if context.streams:
        pieces = sse.live(context.engine, after=after)
    else:
        pieces = b"".join([piece async for piece in sse.long_poll(context.engine, after=after, seconds=LONG_POLL_S)])
    headers = {
        "cache-control": "no-store",
        "x-accel-buffering": "no",
    }  # the latter: proxies must not hold pieces back
    return Response(status=200, body=pieces, content_type=sse.CONTENT_TYPE, headers=headers)


def _whole(query: Mapping[str, str], name: str, errors: list[str], *, least: int = 0, most: int) -> int | None:
    """Return the whole number in a parameter, None where there is none; a wrong one adds to `errors`."""
    text = query.get(name)
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) <= len(str(most)) and least <= int(text) <= most:
        return int(text)
    errors.append(f"{name} must be a whole number from {least} to {most}.")
    return None
