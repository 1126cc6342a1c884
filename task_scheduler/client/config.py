"""Which service a client talks to: its URL and its secret, given or from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx

from task_scheduler.contract import SECRET_HEADER

URL_VARIABLE: Final = "TASK_SCHEDULER_URL"
SECRET_VARIABLE: Final = "TASK_SCHEDULER_SECRET"  # noqa: S105 - the name of a variable, not a secret
DEFAULT_URL: Final = "http://127.0.0.1:8000"


@dataclass(frozen=True, slots=True)
class Target:
    """A service. Its secret is in no repr, nor is a password in its URL."""

    url: str = field(repr=False)
    """Without a slash at its end."""
    shown: str
    """The URL for people: without the user and password that it may have for a proxy."""
    headers: Mapping[bytes, bytes] = field(repr=False)


def target(url: str | None, secret: str | None, environment: Mapping[str, str] = os.environ) -> Target:
    """Return the service that is meant; what is None comes from the environment.

    Raises ValueError if the URL is none, or no header can carry the secret.
    """
    url = url or environment.get(URL_VARIABLE) or DEFAULT_URL
    if secret is None:
        secret = environment.get(SECRET_VARIABLE, "")
    if not secret.isprintable():
        raise ValueError("The secret has a character that no header can carry, such as the end of a line.")
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        parsed = httpx.URL("")
    if parsed.scheme not in {"http", "https"} or not parsed.host or parsed.query or parsed.fragment:
        raise ValueError(f"The URL must be such as {DEFAULT_URL}, not {url[:200]!r}.")
    headers = {SECRET_HEADER.encode(): secret.encode()} if secret else {}
    shown = str(parsed.copy_with(userinfo=b""))
    return Target(str(parsed).rstrip("/"), shown.rstrip("/"), headers)
