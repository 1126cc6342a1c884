"""The routes: one table of plain functions from a request and an engine to a response."""

import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib import resources
from typing import Any, Final, cast

from task_scheduler import __version__, timestamps
from task_scheduler.api import sse, static
from task_scheduler.api.errors import BadRequestError, explain
from task_scheduler.api.idempotency import read_key, task_key
from task_scheduler.api.json_body import read_object
from task_scheduler.api.query import Query, cursor
from task_scheduler.api.request import Request
from task_scheduler.api.response import Response, json_response
from task_scheduler.contract import LAST_EVENT_ID_HEADER, MAX_BATCH
from task_scheduler.engine import Engine, EngineError, TaskNotFoundError
from task_scheduler.task import Status, Task, changed_task, is_task_id, new_task, read_payload

LONG_POLL_S: Final = 22.0
"""How long a response may wait for an event.

API Gateway gives an integration 29 s (AWS, API Gateway quotas), and the last look at the log may need two attempts of
2.5 s each for one of its calls, with a pause of up to a second between them. If more of them fail, API Gateway responds
with 504.
"""

_DEFAULT_TASKS: Final = 50
_DEFAULT_EVENTS: Final = 100


@dataclass(frozen=True, slots=True)
class Context:
    """What a route works with."""

    engine: Engine
    streams: bool
    """Whether a response may go on for ever; where not, the event stream is made of long polls."""


Handler = Callable[[Request, Context], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path."""

    handler: Handler
    requires_secret: bool = True
    """Whether the secret is required."""
    safe: bool = True
    """Whether a GET changes nothing, so that HEAD may do the same (RFC 9110, 9.2.1)."""
    streams: bool = False
    """Whether it responds with an event stream to clients that want one."""


async def schedule(request: Request, context: Context) -> Response:
    """Accept a task."""
    body = read_object(request.body)
    key = task_key(read_key(request.headers), body)
    task = new_task(body, task_id=str(uuid.uuid4()), now_ms=context.engine.now_ms())
    return json_response(_scheduled(await context.engine.schedule(task, key)))


async def schedule_batch(request: Request, context: Context) -> Response:
    """Accept many tasks, each with an outcome of its own; an Idempotency-Key holds for each item by its index."""
    bodies = _array(read_object(request.body), "tasks", "tasks to schedule")
    key = read_key(request.headers)
    now_ms = context.engine.now_ms()
    drafts = [_draft(body, now_ms) for body in bodies]
    accepted = [(index, draft) for index, draft in enumerate(drafts) if isinstance(draft, Task)]
    keys = [task_key(key, _fields(bodies[index]), index=index) for index, _ in accepted]
    outcomes = await context.engine.schedule_all([task for _, task in accepted], keys)
    return _batch_response(drafts, outcomes, _scheduled)


async def cancel(request: Request, context: Context) -> Response:
    """Cancel the task that the body names."""
    task_id = read_object(request.body).get("id")
    if not isinstance(task_id, str):
        state = "must be a string" if task_id is not None else "is missing"
        raise BadRequestError(
            f'id {state}: give the id that the response to /schedule had, as in {{"id": "{uuid.UUID(int=0)}"}}.'
        )
    return json_response(_cancelled(await context.engine.cancel(_known(task_id))))


async def cancel_batch(request: Request, context: Context) -> Response:
    """Cancel many tasks: those that are named, or those that carry a tag."""
    body = read_object(request.body)
    if "tag" in body:
        if "ids" in body or not isinstance(body["tag"], str):
            raise BadRequestError('Give either ids, or one tag such as "user:42".')
        return await _cancel_tagged(body["tag"], context)
    ids = _array(body, "ids", "ids to cancel")
    known = [_checked_id(task_id) for task_id in ids]
    outcomes = await context.engine.cancel_all([task_id for task_id in known if isinstance(task_id, str)])
    return _batch_response(known, outcomes, _cancelled)


async def list_tasks(request: Request, context: Context) -> Response:
    """List tasks, soonest due first."""
    parameters = Query(request.query, request.repeated)
    query = parameters.tasks()
    limit = parameters.limit(_DEFAULT_TASKS)
    parameters.check()
    page = await context.engine.tasks(query, limit=limit)
    return json_response({"tasks": [_view(task) for task in page.tasks], "cursor": cursor(page.next)})


async def get_task(request: Request, context: Context) -> Response:
    """Show one task."""
    return json_response(_view(await context.engine.get(_known(request.params["task_id"]))))


async def change_task(request: Request, context: Context) -> Response:
    """Give a task another time, another message, or both."""
    body = read_object(request.body)
    now_ms = context.engine.now_ms()
    task_id = _known(request.params["task_id"])
    task = await context.engine.reschedule(task_id, lambda task: changed_task(task, body, now_ms=now_ms))
    return json_response(_view(task))


async def cancel_task(request: Request, context: Context) -> Response:
    """Cancel the task that the path names."""
    return json_response(_cancelled(await context.engine.cancel(_known(request.params["task_id"]))))


async def events(request: Request, context: Context) -> Response:
    """Show what was emitted: as a page, or as a stream to those who accept one."""
    streamed = sse.is_wanted(request)
    parameters = Query(request.query, request.repeated)
    after = parameters.integer("after")
    before = parameters.integer("before")
    limit = parameters.limit(_DEFAULT_EVENTS)
    last_event_id = parameters.integer("lastEventId")  # as EventSource polyfills send it, to save browsers a preflight
    if streamed and (header := request.headers.get(LAST_EVENT_ID_HEADER)):
        last_event_id = parameters.number("Last-Event-ID", header)
    parameters.check()
    after = after if last_event_id is None else last_event_id
    if streamed:
        return await _stream(context, after)
    if before is not None and after is None:
        page = await context.engine.events_before(before, limit=limit)
    else:
        after = await context.engine.clamp_position(after or 0)
        page = await context.engine.events(after=after, limit=limit)
        page = [event for event in page if before is None or event.sequence < before]
    position = page[-1].sequence if page else after or 0
    text = ",".join(map(sse.envelope, page))
    return Response(status=HTTPStatus.OK, body=f'{{"events":[{text}],"position":{position}}}'.encode())


async def health(_request: Request, context: Context) -> Response:
    """Show the version, and what is wrong: status 503 if tasks cannot be accepted or are not emitted."""
    found = await context.engine.check_health()
    status = "failing" if found.failures else "degraded" if found.warnings else "ok"
    body = {"status": status, "version": __version__, "errors": [*found.failures], "warnings": [*found.warnings]}
    return json_response(
        {name: value for name, value in body.items() if value},
        status=HTTPStatus.SERVICE_UNAVAILABLE if found.failures else HTTPStatus.OK,
    )


async def contract(_request: Request, _context: Context) -> Response:
    """Show the OpenAPI description of this API."""
    return Response(status=HTTPStatus.OK, body=openapi())


ROUTES: Final[Mapping[str, Mapping[str, Route]]] = {
    # GET: what Pipedream's documented snippet sends
    "/schedule": {"POST": Route(schedule), "GET": Route(schedule, safe=False)},
    "/schedule/batch": {"POST": Route(schedule_batch)},
    "/cancel": {"POST": Route(cancel), "DELETE": Route(cancel)},
    "/cancel/batch": {"POST": Route(cancel_batch)},
    "/tasks": {"GET": Route(list_tasks)},
    "/tasks/{task_id}": {"GET": Route(get_task), "PATCH": Route(change_task), "DELETE": Route(cancel_task)},
    "/events": {"GET": Route(events, streams=True)},
    "/health": {"GET": Route(health, requires_secret=False)},
    "/openapi.json": {"GET": Route(contract, requires_secret=False)},
    "/": {"GET": Route(static.console, requires_secret=False)},
    "/docs": {"GET": Route(static.docs, requires_secret=False)},
    "/assets/{name}": {"GET": Route(static.asset, requires_secret=False)},
}


@cache
def openapi() -> bytes:
    """Return the text of the OpenAPI description that ships with this package."""
    return resources.files(__package__).joinpath("openapi.json").read_bytes()


async def _cancel_tagged(text: str, context: Context) -> Response:
    parameters = Query({"tag": text})
    tag = parameters.tasks().tag
    parameters.check()
    done = await context.engine.cancel_tagged(cast("tuple[str, str]", tag))  # check() has raised if there is none
    return json_response({"cancelled": done.cancelled, "not_cancelled": done.not_cancelled, "more": done.more})


def _draft(body: object, now_ms: int) -> Task | Exception:
    if not isinstance(body, dict):
        return BadRequestError("Each task must be an object with a message, and with timestamp or in.")
    try:
        return new_task(_fields(body), task_id=str(uuid.uuid4()), now_ms=now_ms)
    except ValueError as error:
        return error


def _fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item of a batch without the secret that older clients put into each body."""
    return {name: value for name, value in body.items() if name != "secret"}


def _checked_id(task_id: object) -> str | Exception:
    if not isinstance(task_id, str):
        return BadRequestError("Each id must be a string.")
    try:
        return _known(task_id)
    except EngineError as error:
        return error


def _array(body: Mapping[str, Any], name: str, what: str) -> list[Any]:
    items = body.get(name)
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_BATCH:
        raise BadRequestError(f"{name} must be an array of 1 to {MAX_BATCH} {what}.")
    return items


def _batch_response(
    items: Sequence[object], outcomes: Iterable[Task | Exception], show: Callable[[Task], dict[str, Any]]
) -> Response:
    """Return the result of each item: its own error, or else the next of the engine's outcomes."""
    rest = iter(outcomes)
    results = [_result(item if isinstance(item, Exception) else next(rest), show) for item in items]
    return json_response({"results": results})


def _result(outcome: Task | Exception, show: Callable[[Task], dict[str, Any]]) -> dict[str, Any]:
    """Show one item of a batch as its own request would have responded."""
    if isinstance(outcome, Task):
        return {"status": HTTPStatus.OK, **show(outcome)}
    explained = explain(outcome)
    if explained is None:
        raise outcome
    status, sentences = explained
    return {"status": status, "errors": list(sentences)}


def _scheduled(task: Task) -> dict[str, Any]:
    due = timestamps.format(task.due_ms)
    return {"id": task.id, "message": f"Scheduled task at {due}", "timestamp": due}


def _cancelled(task: Task) -> dict[str, Any]:
    return {"id": task.id, "message": f"Cancelled task {task.id}"}


def _known(task_id: str) -> str:
    """Return `task_id` if it can be one of ours; a text of another form names no task."""
    task_id = task_id.lower()
    if not is_task_id(task_id):
        raise TaskNotFoundError(task_id)
    return task_id


def _view(task: Task) -> dict[str, Any]:
    """Show a task as GET /tasks/{id} does."""
    event = read_payload(task.payload)
    ended = {
        f"{status}_at": timestamps.format(task.ended_ms)
        if task.status is status and task.ended_ms is not None
        else None
        for status in (Status.EMITTED, Status.CANCELLED, Status.FAILED)
    }
    return {
        "id": task.id,
        "status": task.status,
        "timestamp": timestamps.format(task.due_ms),
        "message": event.pop("message"),
        "extra": {name: value for name, value in event.items() if name not in {"id", "timestamp"}},
        "created_at": timestamps.format(task.created_ms),
        **ended,
    }


async def _stream(context: Context, after: int | None) -> Response:
    if context.streams:
        return sse.stream(sse.live(context.engine, after=after))
    polled = sse.long_poll(context.engine, after=after, seconds=LONG_POLL_S)
    return sse.stream(b"".join([piece async for piece in polled]))
