"""Proxies and certificates of the environment: used where they apply, and named in a sentence where they are wrong."""

from pathlib import Path

import httpx
import pytest

from task_scheduler import outbound
from task_scheduler.client import Client

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the variables of whoever runs the tests."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "app.localhost", "127.1.2.3"])
@pytest.mark.parametrize(
    "variables",
    [
        {"NO_PROXY": "localhost,127.0.0.1,[::1]"},
        {"NO_PROXY": "localhost,fd07:b51a:cc66:f0::/64"},
        {"ALL_PROXY": "socks5://127.0.0.1:1"},
        {"ALL_PROXY": "socks5://127.0.0.1:1", "NO_PROXY": "127.0.0.1"},
        {"HTTP_PROXY": "http://proxy.example:3128"},
        {"HTTP_PROXY": "nonsense://"},
        {"SSL_CERT_FILE": "/nonexistent/ca.pem"},
    ],
)
def test_this_machine_is_reached_directly_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, host: str, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    url = f"http://{host}:8000"
    assert outbound.options(url) == {"trust_env": False, "proxy": None}
    httpx.Client(**outbound.options(url)).close()
    Client(url).close()


@pytest.mark.parametrize(
    ("url", "variables", "proxy"),
    [
        ("http://x.example", {"HTTP_PROXY": "http://p.example:1"}, "http://p.example:1"),
        ("http://x.example", {"HTTP_PROXY": "p.example:1"}, "http://p.example:1"),
        ("https://x.example", {"HTTP_PROXY": "http://p.example:1"}, None),
        ("https://x.example", {"ALL_PROXY": "http://p.example:1"}, "http://p.example:1"),
        ("https://x.example", {"HTTPS_PROXY": "http://p.example:1", "NO_PROXY": "x.example"}, None),
        ("https://x.example", {"HTTPS_PROXY": "http://p.example:1", "NO_PROXY": ".example"}, None),
        ("https://x.example", {"HTTPS_PROXY": "http://p.example:1", "NO_PROXY": "*"}, None),
        (
            "https://x.example",
            {"HTTPS_PROXY": "http://p.example:1", "NO_PROXY": "y.example,[::1]"},
            "http://p.example:1",
        ),
        ("http://[fd07::1]", {"HTTP_PROXY": "http://p.example:1", "NO_PROXY": "[fd07::1]"}, None),
    ],
)
def test_another_machine_is_reached_by_the_proxy_of_its_scheme(
    monkeypatch: pytest.MonkeyPatch, url: str, variables: dict[str, str], proxy: str | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert outbound.options(url)["proxy"] == proxy


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"ALL_PROXY": "socks5://127.0.0.1:1"}, "ALL_PROXY names a SOCKS proxy"),
        ({"HTTPS_PROXY": "ftp://proxy.example"}, "HTTPS_PROXY must name a proxy"),
        ({"HTTPS_PROXY": "http://[::1"}, "HTTPS_PROXY must name a proxy"),
        ({"SSL_CERT_FILE": "/nonexistent/ca.pem"}, "SSL_CERT_FILE names /nonexistent/ca.pem, which does not exist"),
        ({"SSL_CERT_DIR": "/nonexistent"}, "SSL_CERT_DIR names /nonexistent, which does not exist"),
    ],
)
def test_a_variable_that_is_wrong_is_named(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], named: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=named):
        outbound.options("https://x.example")
    with pytest.raises(ValueError, match=named):
        Client("https://x.example")


def test_a_file_that_holds_no_certificate_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("hello")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with pytest.raises(ValueError, match="which cannot be read"):
        outbound.options("https://x.example")
