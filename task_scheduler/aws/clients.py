"""Clients of AWS services, and what their failures mean here."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from task_scheduler import __version__
from task_scheduler.engine import UnavailableError

# Parameters are checked in the tests, and by the services; botocore's check would be a fifteenth of the CPU of a call.
# The name by which CloudTrail knows the caller is ours: botocore would put one together anew, twice for each call, from
# all that it knows of the machine, and that would be a fifth.
_LEAN: Final = Config(parameter_validation=False, user_agent=f"task-scheduler/{__version__}")

# A second attempt is needed even where nothing is wrong: Lambda purges idle connections, which the first call after a
# pause finds out (AWS, Lambda best practices). A third would help little when AWS throttles, and would take up to 2 s
# more (botocore, standard mode); our callers repeat what was answered with 503.
_QUICK: Final = _LEAN.merge(
    Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2})
)
# For calls whose time is short: two attempts end within 6 s.
_POLL: Final = _QUICK.merge(Config(read_timeout=1.5))
# For calls whose caller decides itself on another attempt.
_ONCE: Final = _POLL.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}))

# How DynamoDB, Step Functions and Secrets Manager say that there were too many calls (botocore's service models).
_THROTTLED: Final = frozenset({"ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException"})

_logger: Final = logging.getLogger(__name__)
_session: Final = get_session()  # botocore alone: boto3 on top of it would lengthen every cold start


def client(service: str, *, poll: bool = False, once: bool = False) -> Any:  # noqa: ANN401 - each service has a client of its own
    """Return a client of a service: one for polls, whose calls have little time, or one that attempts a call once."""
    return _session.create_client(service, config=_ONCE if once else _POLL if poll else _QUICK)


def on_throttle(tell: Callable[[], None]) -> None:
    """Have every client that is made from now on tell of each try of a call that was throttled, and nobody else."""

    def look(**tried: Any) -> None:  # noqa: ANN401 - botocore's own
        response = tried["response"]  # the connection's and the parsed one, or none where the call did not get through
        if response is not None and response[1].get("Error", {}).get("Code") in _THROTTLED:
            tell()

    _session.unregister("needs-retry", unique_id=__name__)
    _session.register("needs-retry", look, unique_id=__name__)


def code(error: BotoCoreError | ClientError) -> str:
    """Return the name that the service gave to its error, or botocore, where the service gave none."""
    if isinstance(error, BotoCoreError):
        return type(error).__name__
    return error.response.get("Error", {}).get("Code", "")


def is_transient(error: ClientError) -> bool:
    """Tell whether a call was throttled or the service was at fault, so that the same call may succeed later."""
    return code(error) in _THROTTLED or _status(error) >= HTTPStatus.INTERNAL_SERVER_ERROR


def was_rejected(error: BotoCoreError | ClientError) -> bool:
    """Tell whether a call was certainly not carried out, which is unknown after a timeout or a fault of the service."""
    if isinstance(error, BotoCoreError):
        return False
    return code(error) in _THROTTLED or _status(error) < HTTPStatus.INTERNAL_SERVER_ERROR


def _status(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


@contextmanager
def unavailable(what: str, task_id: str | None = None) -> Iterator[None]:
    """Turn a call that failed, whether or not it had worked, into UnavailableError."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        _logger.warning("%s did not answer: %s", what, code(error), extra={"task_id": task_id} if task_id else None)
        raise UnavailableError(f"{what} did not answer as it should; please try again.") from error
