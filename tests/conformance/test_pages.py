"""The pages for people: both, and every file that they load, for everybody and with the headers that guard them."""

import re
from typing import Final

import httpx
import pytest

from tests.support.api import Api

_MEDIA_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}


def get(api: Api, path: str) -> httpx.Response:
    """Fetch something without the secret; the answer is held against the contract."""
    response = api.http.get(path)
    api.contract.check(response, method="GET", path=path)
    return response


def assets(page: httpx.Response) -> set[str]:
    """Return what a page loads."""
    return {f"/{link}" for link in re.findall(r"(?:href|src)=\"(assets/[^\"]+)\"", page.text)}


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_and_everything_that_it_loads_are_there(api: Api, path: str) -> None:
    page = get(api, path)
    assert page.status_code == httpx.codes.OK
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    assert page.text.startswith("<!doctype html>")
    assert assets(page)
    for asset in assets(page):
        found = get(api, asset)
        assert found.status_code == httpx.codes.OK
        assert found.headers["content-type"] == _MEDIA_TYPES[asset.rpartition(".")[2]]
        assert found.content


@pytest.mark.parametrize("path", ["/", "/docs", "/assets/console.js"])
def test_what_is_served_is_guarded_by_its_headers_and_kept_by_its_tag(api: Api, path: str) -> None:
    found = get(api, path)
    policy = found.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search("unsafe|http|\\*", policy)
    assert ("require-trusted-types-for 'script'" in policy) == (path == "/")
    assert found.headers["x-content-type-options"] == "nosniff"
    assert found.headers["referrer-policy"] == "no-referrer"
    assert found.headers["cross-origin-opener-policy"] == "same-origin"
    again = api.http.get(path, headers={"if-none-match": found.headers["etag"]})
    assert again.status_code == httpx.codes.NOT_MODIFIED
    assert again.content == b""
    assert again.headers["etag"] == found.headers["etag"]
