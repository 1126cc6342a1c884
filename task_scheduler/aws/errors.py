"""Failures of AWS services: adapters translate botocore's errors here, and nothing else sees them."""

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from http import HTTPStatus
from inspect import isgeneratorfunction
from typing import Any, Final, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from task_scheduler.engine import UnavailableError
from task_scheduler.task import is_task_id

_logger: Final = logging.getLogger(__name__)
_Call = TypeVar("_Call", bound=Callable[..., Any])

# How DynamoDB, Step Functions and Secrets Manager say that there were too many calls (botocore's service models).
THROTTLED: Final = frozenset({"ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException"})


class ServiceError(UnavailableError):
    """A call of a service failed. Unless it was rejected, it may have worked nevertheless."""

    def __init__(self, service: str, error: BotoCoreError | ClientError) -> None:
        super().__init__(f"{service} did not respond as it should; please try again.")
        self.code: Final = code(error)
        """The name that the service gave to the error, or botocore."""
        self.was_rejected: Final = was_rejected(error)
        """Whether the call was certainly not carried out."""


def translates(service: str) -> Callable[[_Call], _Call]:
    """Return a decorator for the methods of an adapter: what fails in them raises ServiceError, and is logged."""

    def decorate(call: _Call) -> _Call:
        @wraps(call)
        def generate(*args: Any, **kwargs: Any) -> Iterator[Any]:  # noqa: ANN401 - those of `call`
            try:
                yield from call(*args, **kwargs)
            except (BotoCoreError, ClientError) as error:
                raise _translated(service, error, args) from error

        @wraps(call)
        def translate(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - those of `call`
            try:
                return call(*args, **kwargs)
            except (BotoCoreError, ClientError) as error:
                raise _translated(service, error, args) from error

        return generate if isgeneratorfunction(call) else translate  # type: ignore[return-value]

    return decorate


def code(error: BotoCoreError | ClientError) -> str:
    """Return the name that the service gave to its error, or botocore, where the service gave none."""
    if isinstance(error, BotoCoreError):
        return type(error).__name__
    return error.response.get("Error", {}).get("Code", "")


def is_transient(error: ClientError) -> bool:
    """Tell whether a call was throttled or the service was at fault, so that the same call may succeed later."""
    return code(error) in THROTTLED or _status(error) >= HTTPStatus.INTERNAL_SERVER_ERROR


def was_rejected(error: BotoCoreError | ClientError) -> bool:
    """Tell whether a call was certainly not carried out, which is unknown after a timeout or a fault of the service."""
    if isinstance(error, BotoCoreError):
        return False
    return code(error) in THROTTLED or _status(error) < HTTPStatus.INTERNAL_SERVER_ERROR


def _status(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def _translated(service: str, error: BotoCoreError | ClientError, args: Sequence[object]) -> ServiceError:
    task_id = next(filter(None, map(_task_id, args)), None)
    _logger.warning("%s did not respond: %s", service, code(error), extra={"task_id": task_id} if task_id else None)
    return ServiceError(service, error)


def _task_id(argument: object) -> str | None:
    """Return the id of the task that an argument of a call names, None if it names none."""
    task = getattr(argument, "task", argument)
    text = getattr(task, "id", task)
    return text if isinstance(text, str) and is_task_id(text) else None
