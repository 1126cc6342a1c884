"""Clients of AWS services, and what their failures mean here."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

# A call is quick or is tried again: three tries end well within the 29 s that API Gateway waits.
_QUICK: Final = _LEAN.merge(
    Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 3})
)
_ONCE: Final = _LEAN.merge(
    Config(connect_timeout=1, read_timeout=1.5, retries={"mode": "standard", "total_max_attempts": 1})
)

# How DynamoDB, Step Functions and Secrets Manager say that there were too many calls (botocore's service models).
_THROTTLED: Final = frozenset({"ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException"})

_logger: Final = logging.getLogger(__name__)
_session: Final = get_session()  # botocore alone: boto3 on top of it would lengthen every cold start


def client(service: str, *, once: bool = False) -> Any:  # noqa: ANN401 - each service has a client of its own
    """Return a client that tries a call a few times, or once where the caller decides itself on another try."""
    return _session.create_client(service, config=_ONCE if once else _QUICK)


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


@contextmanager
def unavailable(what: str, task_id: str | None = None) -> Iterator[None]:
    """Turn a call that failed, whether or not it had worked, into UnavailableError."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        _logger.warning("%s did not answer: %s", what, code(error), extra={"task_id": task_id} if task_id else None)
        raise UnavailableError(f"{what} did not answer as it should; please try again.") from error
