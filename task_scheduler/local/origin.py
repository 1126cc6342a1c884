"""Who may use a server without a secret: programs of this machine and its own pages, but no page of another site.

A browser lets any page send requests to 127.0.0.1, and by a name that it rebinds to 127.0.0.1 read the answers too.
"""

import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from task_scheduler.http.message import Response, error_response

_ADVICE: Final = "Without a secret it serves this machine alone; with one, by TASK_SCHEDULER_SECRET, whoever has it."


def own_pages_only(headers: Mapping[str, str]) -> Response | None:
    """Let pass what comes under a name of this machine, and from none but our own pages; answer the rest with a 403."""
    reason = refusal(headers.get("host"), headers.get("origin"))
    return None if reason is None else error_response(403, [f"{reason} {_ADVICE}"])


@lru_cache(maxsize=64)
def refusal(host: str | None, origin: str | None) -> str | None:
    """Return why a request is not served, None where it is: a program need not send either header."""
    if host is not None and not is_loopback(_name(f"//{host}")):
        return f"This server is not {host[:100]!r}."
    if origin is not None and origin.partition("://")[2] != host:
        return f"Pages of {origin[:100]!r} may not use this server."
    return None


def is_loopback(name: str) -> bool:
    """Tell whether a host name or an address is this machine, and cannot be reached from another (RFC 6761, 6.3)."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _name(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
