"""What clients may take of the local server."""

import sys
from dataclasses import dataclass
from typing import Final

_OWN_FILES: Final = 128  # the data, its log, the listener and webhooks


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Times are in seconds."""

    header_bytes: int = 65_536
    """Of the request line and all header fields of one request; a larger one gets 431. At least 8,192."""
    header_s: float = 15
    """To send them, and between two requests on one connection; longer than the 5 s that httpx keeps an idle one."""
    body_s: float = 30
    """To send a body; a slower one gets 408."""
    unread_s: int = 60
    """Without an acknowledgement of what was sent; then the connection is cut. On Linux; elsewhere for streams only."""
    connections: int = 2_000
    """At the same time; further ones wait to be accepted."""
    streams: int = 1_500
    """At the same time; further ones get 503."""


def limits_of_this_process() -> Limits:
    """Return the limits, with no more connections than this process may have files open."""
    if sys.platform == "win32":  # pragma: no cover
        return Limits()
    import resource  # noqa: PLC0415 - Windows has none

    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        return Limits()
    connections = min(Limits.connections, max(files - _OWN_FILES, files // 2))
    return Limits(connections=connections, streams=min(Limits.streams, connections * 3 // 4))
