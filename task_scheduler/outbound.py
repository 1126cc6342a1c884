"""How to reach a URL from this machine: by which proxy, and with which certificates, as the environment says.

The same rules hold for the client and for webhooks. httpx reads the environment too, but raises errors of its own for
variables that are common in companies, containers and VPNs, also where a URL needs none of them.
"""

import os
import ssl
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpx

from task_scheduler.loopback import is_loopback


def options(url: str) -> dict[str, Any]:
    """Return the options of httpx.Client and httpx.AsyncClient for requests to one URL.

    Raises ValueError, with a sentence that names the variable, if the URL cannot be reached as the environment says.
    """
    parsed = httpx.URL(url)
    found: dict[str, Any] = {"trust_env": False, "proxy": _proxy(parsed)}
    if parsed.scheme == "https":
        found["verify"] = _certificates()
    return found


def _proxy(url: httpx.URL) -> str | None:
    if is_loopback(url.host):
        return None
    proxies = getproxies()
    scheme = url.scheme if url.scheme in proxies else "all"
    proxy = proxies.get(scheme)
    host = f"[{url.host}]" if ":" in url.host else url.host
    if not proxy or proxy_bypass(host) or proxy_bypass(url.host):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    variable = f"{scheme.upper()}_PROXY"
    try:
        kind = httpx.URL(proxy).scheme
    except (httpx.InvalidURL, ValueError):
        kind = ""
    if kind in {"socks5", "socks5h"} and find_spec("socksio") is None:
        raise ValueError(
            f"{variable} names a SOCKS proxy, which needs another package: pip install 'httpx[socks]'. Or name an HTTP "
            f"proxy, or except {url.host} by NO_PROXY."
        )
    if kind not in {"http", "https", "socks5", "socks5h"}:
        raise ValueError(f"{variable} must name a proxy such as http://proxy.example:3128.")
    return proxy


def _certificates() -> ssl.SSLContext | bool:
    """Return what SSL_CERT_FILE or SSL_CERT_DIR names, True for httpx's own certificates."""
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if not file and not folder:
        return True
    variable = "SSL_CERT_FILE" if file else "SSL_CERT_DIR"
    if not (Path(file).is_file() if file else Path(folder or "").is_dir()):
        raise ValueError(f"{variable} names {file or folder}, which does not exist.")
    try:
        return ssl.create_default_context(cafile=file or None, capath=None if file else folder)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"{variable} names {file or folder}, which cannot be read: {error}.") from None
