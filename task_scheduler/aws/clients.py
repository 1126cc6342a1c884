"""Clients of AWS services, and what their failures mean here."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from task_scheduler.engine import UnavailableError

# A call is quick or is tried again: three tries end well within the 29 s that API Gateway waits.
_QUICK: Final = Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 3})
_ONCE: Final = Config(connect_timeout=1, read_timeout=1.5, retries={"mode": "standard", "total_max_attempts": 1})

_session: Final = get_session()  # botocore alone: boto3 on top of it would lengthen every cold start


def client(service: str, *, once: bool = False) -> Any:  # noqa: ANN401 - each service has a client of its own
    """Return a client that tries a call a few times, or once where the caller decides itself on another try."""
    return _session.create_client(service, config=_ONCE if once else _QUICK)


def code(error: ClientError) -> str:
    """Return the name that the service gave to its error."""
    return error.response.get("Error", {}).get("Code", "")


@contextmanager
def unavailable(what: str) -> Iterator[None]:
    """Turn a call that failed, whether or not it had worked, into UnavailableError."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise UnavailableError(f"{what} did not answer as it should; please try again.") from error
