"""The errors of the client, and their responses; no error contains the secret."""

import os
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import httpx


class TaskSchedulerError(Exception):
    """The base of all errors of the client; the text is one or more sentences."""


class UnreachableError(TaskSchedulerError):
    """No connection, or no response in time; the call may have taken effect."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"Cannot reach {url}: {reason}.")
        self.url = url
        self.reason = reason


class UnexpectedResponseError(TaskSchedulerError):
    """The response is not from a Task Scheduler: the URL is wrong, or a proxy responded."""


class ApiError(TaskSchedulerError):
    """The response is an error; `errors` has its sentences, `status` is the HTTP status."""

    def __init__(self, status: int, errors: Sequence[str]) -> None:
        super().__init__(" ".join(errors))
        self.status = status
        self.errors = tuple(errors)


class BadRequestError(ApiError):
    """400: the request is wrong; `errors` has a sentence for each mistake."""


class UnauthorizedError(ApiError):
    """401: the secret is missing or wrong."""


class NotFoundError(ApiError):
    """404: the service has no such route."""


class TaskNotFoundError(NotFoundError):
    """404: no task has this id; it never existed, or its retention has ended."""


class ConflictError(ApiError):
    """409: the request conflicts with the state of the task or the key."""


class TooLateError(ConflictError):
    """409 to a cancel or a change: the task was emitted, is being emitted, or failed."""


class KeyConflictError(ConflictError):
    """409 to a schedule: the key was used for another request, or for a task that was cancelled or has failed."""


class TooLargeError(ApiError):
    """413: the message is too large."""


class TooManyRequestsError(ApiError):
    """429: the rate limit was exceeded, also at the last retry."""


class ServerError(ApiError):
    """5xx: the service failed, also at the last retry."""


_BY_STATUS: Final[Mapping[int, type[ApiError]]] = {
    HTTPStatus.BAD_REQUEST: BadRequestError,
    HTTPStatus.UNAUTHORIZED: UnauthorizedError,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.CONFLICT: ConflictError,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: TooLargeError,
    HTTPStatus.TOO_MANY_REQUESTS: TooManyRequestsError,
}
# What may come from a gateway on the way, in a form of its own, and still means what it means.


def unreachable(error: httpx.RequestError, url: str) -> UnreachableError:
    """Return the error for a request without a response."""
    return UnreachableError(url, _reason(error))


def refused(
    response: httpx.Response, url: str, meanings: Mapping[int, type[ApiError]], conflict_hint: str = ""
) -> TaskSchedulerError:
    """Return the error for a response that is not 200.

    `meanings` has what a status means to this call in particular, `conflict_hint` a sentence to add to the API's.
    """
    status = response.status_code
    sentences = _sentences(response)
    if not sentences and status != HTTPStatus.TOO_MANY_REQUESTS and status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return unexpected(response, url)
    sentences = sentences or [f"{url} responded {status} {response.reason_phrase}".rstrip() + "."]
    kind = meanings.get(status) or _BY_STATUS.get(status)
    if kind is None:
        kind = ServerError if status >= HTTPStatus.INTERNAL_SERVER_ERROR else ApiError
    return kind(status, [*sentences, conflict_hint] if conflict_hint else sentences)


def unexpected(response: httpx.Response, url: str) -> UnexpectedResponseError:
    """Return the error for a response that is not from a Task Scheduler."""
    content_type = response.headers.get("content-type", "").partition(";")[0]
    seen = f"{response.status_code} {content_type}".strip()
    if response.has_redirect_location:
        return UnexpectedResponseError(
            f"{url} does not respond like Task Scheduler: it redirects ({seen}), and redirects are not followed, since "
            "they would carry the secret elsewhere. Is the URL right?"
        )
    return UnexpectedResponseError(f"{url} does not respond like Task Scheduler ({seen}): is the URL right?")


def _sentences(response: httpx.Response) -> list[str]:
    """Return the sentences of an error in the API's shape, none if it has another."""
    try:
        body: Any = response.json()
        errors = body["errors"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return []
    return [str(sentence) for sentence in errors] if isinstance(errors, list) else []


def _reason(error: httpx.RequestError) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, httpx.TimeoutException):
        return "no response in time"
    if isinstance(error, httpx.RemoteProtocolError):
        return "the connection was cut"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionError) and cause.errno:
            return _as_clause(os.strerror(cause.errno))
        if isinstance(cause, OSError) and cause.strerror:
            return _as_clause(cause.strerror)
        cause = cause.__cause__ or cause.__context__
    return _as_clause(str(error) or type(error).__name__)


def _as_clause(text: str) -> str:
    text = text.rpartition("] ")[2].rstrip(".")
    return text[:1].lower() + text[1:]
