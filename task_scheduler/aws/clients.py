"""Clients of AWS services: how long their calls may take, and how often they are attempted."""

from collections.abc import Callable
from typing import Any, Final

from botocore.config import Config
from botocore.session import get_session

from task_scheduler import __version__
from task_scheduler.aws.errors import THROTTLED

# Parameters are checked in the tests, and by the services; botocore's check would be a fifteenth of the CPU of a call.
# The name by which CloudTrail knows the caller is ours: botocore would put one together anew, twice for each call, from
# all that it knows of the machine, and that would be a fifth.
_LEAN: Final = Config(parameter_validation=False, user_agent=f"task-scheduler/{__version__}")

# A second attempt is needed even where nothing is wrong: Lambda purges idle connections, which the first call after a
# pause finds out (AWS, Lambda best practices). A third would help little when AWS throttles, and would take up to 2 s
# more (botocore, standard mode); our callers repeat what got a 503.
_QUICK: Final = _LEAN.merge(
    Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2})
)
# For calls whose time is short: two attempts end within 6 s.
_POLL: Final = _QUICK.merge(Config(read_timeout=1.5))
# For calls whose caller decides itself on another attempt.
_ONCE: Final = _POLL.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}))

_session: Final = get_session()  # botocore alone: boto3 on top of it would lengthen every cold start


def client(service: str, *, poll: bool = False, once: bool = False) -> Any:  # noqa: ANN401 - each service has a client of its own
    """Return a client of a service: one for polls, whose calls have little time, or one that attempts a call once."""
    return _session.create_client(service, config=_ONCE if once else _POLL if poll else _QUICK)


def on_throttle(tell: Callable[[], None]) -> None:
    """Have every client that is made from now on tell of each attempt of a call that was throttled, and no others."""

    def look(**tried: Any) -> None:  # noqa: ANN401 - botocore's own
        response = tried["response"]  # the connection's and the parsed one, or none where the call did not get through
        if response is not None and response[1].get("Error", {}).get("Code") in THROTTLED:
            tell()

    _session.unregister("needs-retry", unique_id=__name__)
    _session.register("needs-retry", look, unique_id=__name__)
