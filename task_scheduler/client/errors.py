"""What the client raises, and which answer becomes which error; no error holds the secret."""

import os
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import httpx


class TaskSchedulerError(Exception):
    """What went wrong between this program and the service; the text is one or more sentences."""


class UnreachableError(TaskSchedulerError):
    """No connection could be made, or no response came in time; whether the call took effect is not known."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"Cannot reach {url}: {reason}.")
        self.url = url
        self.reason = reason


class UnexpectedResponseError(TaskSchedulerError):
    """The response is none that Task Scheduler gives: the URL leads elsewhere, or something stands in between."""


class ApiError(TaskSchedulerError):
    """The service responded with an error; `errors` has its sentences, `status` is the HTTP status."""

    def __init__(self, status: int, errors: Sequence[str]) -> None:
        super().__init__(" ".join(errors))
        self.status = status
        self.errors = tuple(errors)


class BadRequestError(ApiError):
    """400: what was sent is wrong; there is a sentence for each mistake."""


class UnauthorizedError(ApiError):
    """401: the secret is missing or wrong."""


class NotFoundError(ApiError):
    """404: the service has no such route."""


class TaskNotFoundError(NotFoundError):
    """404: no task has this id; it never existed, or ended so long ago that it is no longer stored."""


class ConflictError(ApiError):
    """409: what was asked for contradicts what is."""


class TooLateError(ConflictError):
    """409 to a cancel or a change: the task was emitted, is just being emitted, or failed."""


class KeyConflictError(ConflictError):
    """409 to a schedule: the key was used for another request, or for a task that was cancelled or has failed."""


class TooLargeError(ApiError):
    """413: the message is larger than can be emitted."""


class TooManyRequestsError(ApiError):
    """429: the service asks for a slower pace, and still did after the last retry."""


class ServerError(ApiError):
    """5xx: the service could not do it now, and still could not after the last retry."""


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
    """Return the error for a request that got no response."""
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
    """Return the error for a response that Task Scheduler does not give."""
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
