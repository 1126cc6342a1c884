"""Everything that may differ between two deployments: names, defaults, bounds. Knows nothing of CDK."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Self

from task_scheduler.cdk.endpoints import SUBSCRIBERS, host_of, subscription_protocol
from task_scheduler.contract import EVENT_RETENTION_DAYS, TASK_RETENTION_DAYS

PREFIX: Final = "scheduler:"
"""Of a setting in the CDK context."""

# What CloudWatch Logs accepts: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
_LOG_RETENTIONS: Final = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)


class SettingError(ValueError):
    """A setting that is unknown or has a wrong value; one sentence a mistake, each names its setting."""


def _number(low: float, high: float) -> Callable[[object], float]:
    def parse(value: object) -> float:
        try:
            number = float(str(value))
        except ValueError:
            number = float("nan")
        if not low <= number <= high:
            raise ValueError(f"must be a number from {low:g} to {high:g}")
        return number

    return parse


def _whole(low: int, high: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        if not re.fullmatch(r"\d{1,9}", str(value)) or not low <= int(str(value)) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(str(value))

    return parse


def _optional(parse: Callable[[object], Any]) -> Callable[[object], Any]:
    """Take nothing, too: as None, or as the empty text that TOML and a command line have for it."""
    return lambda value: None if value is None or value == "" else parse(value)


def _one_of(*choices: int) -> Callable[[object], int]:
    by_text = {str(choice): choice for choice in choices}

    def parse(value: object) -> int:
        if str(value) not in by_text:
            raise ValueError(f"must be one of {', '.join(by_text)}")
        return by_text[str(value)]

    return parse


def _switch(value: object) -> bool:
    """Take true and false, and on and off as people write them on a command line."""
    text = str(value).lower()
    if text not in {"on", "off", "true", "false"}:
        raise ValueError("must be true or false")
    return text in {"on", "true"}


def _name(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,39}", str(value)):
        raise ValueError("must be 1 to 40 letters, digits and hyphens, a letter first")
    return str(value)


def shown(endpoint: str) -> str:
    """Return a subscriber for a log: of a URL, or what may be one, only the beginning, as the rest may be secret.

    The result is no subscriber, so that nobody can deploy it by copying it.
    """
    scheme, separator, _ = endpoint.partition("://")
    if separator:
        return f"{scheme}://{host_of(endpoint) or ''}/ (path not shown)"
    head, slash, _ = endpoint.partition("/")
    return f"{head}/ (path not shown)" if slash else endpoint


def _email(value: object) -> str:
    if not isinstance(value, str) or not SUBSCRIBERS["email"].fullmatch(value):
        raise ValueError("must be an email address")
    return str(value)


def _subscribers(value: object) -> tuple[str, ...]:
    """Take a list, and one with commas as people write it on a command line."""
    given = value.split(",") if isinstance(value, str) else value
    if not isinstance(given, list | tuple) or not all(isinstance(one, str) for one in given):
        raise ValueError("must be a list of texts")
    endpoints = tuple(dict.fromkeys(str(endpoint).strip() for endpoint in given))
    if endpoints == ("",):
        return ()
    for endpoint in endpoints:
        subscription_protocol(endpoint)
    return endpoints


def _setting(default: Any, parse: Callable[[object], object]) -> Any:  # noqa: ANN401 - typed where it is used, as dataclasses.field is
    return field(default=default, metadata={"parse": parse})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one deployment, as `stacks.deployment_file` reads them.

    The defaults deploy into any account, a new one with small quotas too.
    """

    stack: str = _setting("TaskScheduler", _name)
    """Name of the stack; `iam-policy.json` covers those that begin with TaskScheduler."""

    secret: bool = _setting(default=True, parse=_switch)
    """`off`: anyone who knows the URL may schedule and cancel."""

    production: bool = _setting(default=False, parse=_switch)
    """Point-in-time recovery and deletion protection for the tables."""

    keep_tables: bool = _setting(default=True, parse=_switch)
    """Whether the tables outlive the stack; without, `cdk destroy` deletes what was scheduled."""

    log_retention_days: int = _setting(30, _one_of(*_LOG_RETENTIONS))

    task_retention_days: int = _setting(TASK_RETENTION_DAYS, _whole(1, 3650))
    """How long an emitted, cancelled or failed task can still be looked up."""

    event_retention_days: int = _setting(EVENT_RETENTION_DAYS, _whole(1, 3650))
    """How long an emitted event can be replayed from `GET /events`."""

    arming_window_days: float = _setting(1.0, _number(1 / 86_400, 360))
    """Tasks due later than this wait in the table, since an account may have a million executions open."""

    dashboard: bool = _setting(default=True, parse=_switch)
    """Whether CloudWatch shows a page of this deployment; an account's first three cost nothing."""

    alarm_email: str | None = _setting(None, _optional(_email))
    """Who hears of the alarms, once the address is confirmed."""

    recorder_concurrency: int = _setting(5, _whole(2, 1000))
    """How many batches of events are recorded at once; each holds a Lambda environment."""

    subscribers: tuple[str, ...] = _setting((), _subscribers)
    """Who gets each emitted event: https URLs, email addresses, ARNs of SQS queues and Lambda functions."""

    stream_listeners: int = _setting(50, _whole(1, 1000))
    """About how many may listen to `GET /events` at once; each idle one holds a Lambda environment."""

    stream_reserved_concurrency: int | None = _setting(None, _optional(_whole(1, 1000)))
    """A hard limit in place of about; None by default, as new accounts have nothing to reserve."""

    requests_per_second: int = _setting(500, _whole(1, 10_000))
    """Beyond this each route responds 429, and beyond the burst at once."""

    request_burst: int = _setting(1000, _whole(1, 5000))

    def __post_init__(self) -> None:
        """Check every value, and bring text from the command line into its type."""
        mistakes = []
        for setting in fields(self):
            try:
                value = setting.metadata["parse"](getattr(self, setting.name))
            except ValueError as mistake:
                # A list names the one entry that is wrong.
                must, wrong = (*mistake.args, getattr(self, setting.name))[:2]
                wrong = shown(wrong) if isinstance(wrong, str) else wrong
                mistakes.append(f"{setting.name} {must}, not {wrong!r}.")
            else:
                object.__setattr__(self, setting.name, value)
        if mistakes:
            raise SettingError(" ".join(mistakes))

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Make settings of values by name; raises SettingError for names that do not exist."""
        known = {setting.name for setting in fields(cls)}
        if unknown := sorted(given.keys() - known):
            mistakes = " ".join(f"{name} is not a setting." for name in unknown)
            raise SettingError(f"{mistakes} The settings are {', '.join(sorted(known))}.")
        return cls(**given)

    def changed(self) -> dict[str, Any]:
        """Return the settings that differ from their defaults, by name."""
        values = ((setting.name, getattr(self, setting.name), setting.default) for setting in fields(self))
        return {name: value for name, value, default in values if value != default}
