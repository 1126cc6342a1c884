"""The pages for people: the console, the API page, and the files that they load. None of them needs the secret."""

import hashlib
import html
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib import resources
from typing import Final

from task_scheduler.api.request import Request
from task_scheduler.api.response import Response, error_response

_HTML: Final = "text/html; charset=utf-8"
_SCRIPT: Final = "text/javascript; charset=utf-8"
_STYLE: Final = "text/css; charset=utf-8"
_IMAGE: Final = "image/svg+xml"
_TEXT: Final = "text/plain; charset=utf-8"

_OURS: Final = "no-cache"
"""Looked at again each time: an upgrade must not meet one half of itself in a cache."""

_THEIRS: Final = "public, max-age=86400"
"""Of the viewer, which is large and changes seldom."""

_VENDOR: Final = "console/vendor"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that pages load."""

    media_type: str
    cache_control: str = _OURS
    folder: str = "console"


ASSETS: Final[Mapping[str, Asset]] = {
    "icon.svg": Asset(_IMAGE),
    "console.css": Asset(_STYLE),
    "forms.css": Asset(_STYLE),
    "lists.css": Asset(_STYLE),
    **{
        f"{module}.js": Asset(_SCRIPT)
        for module in (
            "api",
            "clock",
            "connection",
            "console",
            "detail",
            "dom",
            "chart",
            "events",
            "fields",
            "schedule",
            "search",
            "secret",
            "stream",
            "tasks",
            "throughput",
            "time",
            "webhooks",
        )
    },
    "docs.css": Asset(_STYLE),
    "docs.js": Asset(_SCRIPT),
    "swagger-ui.css": Asset(_STYLE, _THEIRS, _VENDOR),
    "swagger-ui-bundle.js": Asset(_SCRIPT, _THEIRS, _VENDOR),
    "swagger-ui-LICENSE.txt": Asset(_TEXT, _THEIRS, _VENDOR),
    "swagger-ui-NOTICE.txt": Asset(_TEXT, _THEIRS, _VENDOR),
    "swagger-ui-bundle.js.LICENSE.txt": Asset(_TEXT, _THEIRS, _VENDOR),
}
"""Every file that is served, by its name; no other name ever reaches the file system."""

_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_CONSOLE_POLICY: Final = f"{_POLICY}; require-trusted-types-for 'script'; trusted-types 'none'"
# Swagger UI's style has its icons in it. It sets innerHTML, and so cannot do with trusted types.
_DOCS_POLICY: Final = _POLICY.replace("img-src 'self'", "img-src 'self' data:")
_ASSET_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"


async def console(request: Request, _context: object) -> Response:
    """Show the console. Its links are relative; where its address does not end in a slash, it says what they start at.

    That is the stage of API Gateway without a slash. A redirect would lead there, too, but in a circle if API Gateway
    should ever leave the slash out of what it tells of the path.
    """
    body, tag = _read("index.html")
    policy = _CONSOLE_POLICY
    if not request.public_path.endswith("/"):
        # One slash first: what a caller wrote into the path never becomes another host.
        start = html.escape(f"/{request.public_path.strip('/')}/")
        body = body.replace(b"<head>", f'<head>\n  <base href="{start}">'.encode(), 1)
        tag = _tag(body)
        policy = policy.replace("base-uri 'none'", "base-uri 'self'")
    return _respond(request, body, tag, Asset(_HTML), policy)


async def docs(request: Request, _context: object) -> Response:
    """Show the API page."""
    return _file(request, "docs.html", Asset(_HTML), _DOCS_POLICY)


async def asset(request: Request, _context: object) -> Response:
    """Hand out a file that the pages load."""
    name = request.params["name"]
    found = ASSETS.get(name)
    if found is None:
        return error_response(HTTPStatus.NOT_FOUND, [f"No route {request.path[:200]}."])
    return _file(request, name, found, _ASSET_POLICY)


def _file(request: Request, name: str, found: Asset, policy: str) -> Response:
    return _respond(request, *_read(name, found.folder), found, policy)


def _respond(request: Request, body: bytes, tag: str, found: Asset, policy: str) -> Response:
    headers = {
        **_HEADERS,
        "content-security-policy": policy,
        "cache-control": found.cache_control,
        "etag": tag,
    }
    known = {each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")}
    if tag in known or "*" in known:
        return Response(HTTPStatus.NOT_MODIFIED, b"", content_type=found.media_type, headers=headers)
    return Response(HTTPStatus.OK, body, content_type=found.media_type, headers=headers)


@cache
def _read(name: str, folder: str = "console") -> tuple[bytes, str]:
    """Return a file that ships with this package, and its entity tag."""
    body = resources.files(__package__).joinpath(folder, name).read_bytes()
    return body, _tag(body)


def _tag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'
