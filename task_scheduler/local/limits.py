"""What clients may take of the local server."""

import sys
from dataclasses import dataclass
from typing import Final

_OWN_FILES: Final = 128  # the data, its log, the listener and webhooks


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Times are in seconds."""

    max_header_bytes: int = 65_536
    """Of the request line and all header fields of one request; a larger one gets 431. At least 8,192.

    What arrives in one piece may have up to twice as many: Granian looks at its buffer after each read.
    """
    header_timeout_s: float = 75
    """To send them, and between two requests on one connection: longer than the 60 s for which nginx keeps an idle one
    to the server behind it (ngx_http_upstream_module, keepalive_timeout)."""
    body_timeout_s: float = 30
    """To send a body; a slower one gets 408."""
    max_unfinished_bytes: int = 67_108_864
    """Of all bodies that have arrived in part; a body beyond it gets 503. The secret may be in a body, so that anybody
    who reaches the port can take so much memory."""
    write_timeout_s: int = 60
    """Without an acknowledgement of what was sent; then the connection is cut. On Linux; elsewhere for streams only."""
    max_connections: int = 2_000
    """At the same time; further ones wait to be accepted."""
    max_streams: int = 1_500
    """At the same time; a further one ends at once, and its client comes back 5 s later."""


def limits_of_this_process() -> Limits:
    """Return the limits, with no more connections than this process may have files open."""
    if sys.platform == "win32":  # pragma: no cover
        return Limits()
    import resource  # noqa: PLC0415 - Windows has none

    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        return Limits()
    connections = min(Limits.max_connections, max(files - _OWN_FILES, files // 2))
    return Limits(max_connections=connections, max_streams=min(Limits.max_streams, connections * 3 // 4))
