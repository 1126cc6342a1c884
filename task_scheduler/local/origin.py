"""Who may use a server without a secret: programs of this machine and its own pages, but no page of another site.

A browser lets any page send requests to 127.0.0.1, and by a name that it rebinds to 127.0.0.1 read the responses too.
"""

from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from task_scheduler.api.response import Response, error_response
from task_scheduler.loopback import is_loopback

_ADVICE: Final = "Without a secret it serves this machine alone; with one, by TASK_SCHEDULER_SECRET, all who have it."
_OWN_SITES: Final = {None, "same-origin", "none"}
"""Sec-Fetch-Site of our own pages, and of what a person typed in."""


def reject_cross_site(method: str, headers: Mapping[str, str]) -> Response | None:
    """Return a 403 unless a request comes under a name of this machine, and from no page but our own."""
    is_followed_link = (
        method == "GET" and headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    )
    site = None if is_followed_link else headers.get("sec-fetch-site")
    reason = refusal(headers.get("host"), headers.get("origin"), site)
    return None if reason is None else error_response(HTTPStatus.FORBIDDEN, [f"{reason} {_ADVICE}"])


@lru_cache(maxsize=64)
def refusal(host: str | None, origin: str | None, site: str | None) -> str | None:
    """Return why a request is rejected, None if it is not: programs send none of the headers but Host.

    Browsers send no Origin with GET requests whose response the page cannot read, but Sec-Fetch-Site with all requests
    (W3C, Fetch Metadata Request Headers). A link that is followed is no such request: the page learns nothing of it.
    """
    if host and not is_loopback(_name(f"//{host}")):
        return f"This server is not {host[:100]!r}."
    if origin is not None and origin.partition("://")[2] != host:
        return f"Pages of {origin[:100]!r} may not use this server."
    if site not in _OWN_SITES:
        return "Pages of other sites may not use this server."
    return None


def _name(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
