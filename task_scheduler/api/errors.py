"""Which HTTP status each error gets."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

from task_scheduler.api.response import Response, error_response
from task_scheduler.engine import (
    BusyError,
    KeyConflictError,
    KeyOfEndedTaskError,
    NotAttemptedError,
    TaskNotFoundError,
    TooLateError,
    UnavailableError,
)
from task_scheduler.task import InvalidTaskError, TaskTooLargeError

INTERNAL_ERROR: Final = "Something went wrong on our side; it was logged. Please try again later."


class BadRequestError(ValueError):
    """The request is malformed; `errors` has a sentence for each mistake."""

    def __init__(self, *errors: str) -> None:
        super().__init__(" ".join(errors))
        self.errors = errors


class BodyTooLargeError(ValueError):
    """The request's body is larger than any task could need."""


class UnauthorizedError(Exception):
    """The secret is missing or wrong."""


_STATUSES: Final[Mapping[type[Exception], int]] = {
    BadRequestError: HTTPStatus.BAD_REQUEST,
    InvalidTaskError: HTTPStatus.BAD_REQUEST,
    UnauthorizedError: HTTPStatus.UNAUTHORIZED,
    TaskNotFoundError: HTTPStatus.NOT_FOUND,
    TooLateError: HTTPStatus.CONFLICT,
    KeyConflictError: HTTPStatus.CONFLICT,
    KeyOfEndedTaskError: HTTPStatus.CONFLICT,
    TaskTooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    BodyTooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    NotAttemptedError: HTTPStatus.SERVICE_UNAVAILABLE,
    BusyError: HTTPStatus.SERVICE_UNAVAILABLE,
}


def explain(error: Exception) -> tuple[int, Sequence[str]] | None:
    """Return the status and the sentences of a known error, or None: then it is a fault of ours."""
    status = next((_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES), None)
    if status is None:
        return None
    return status, error.errors if isinstance(error, BadRequestError | InvalidTaskError) else [str(error)]


def respond(error: Exception) -> Response | None:
    """Return the response to a known error, or None: then it is a fault of ours."""
    explained = explain(error)
    if explained is None:
        return None
    return error_response(*explained)
