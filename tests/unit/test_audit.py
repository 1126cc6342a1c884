"""What is known against the packages that are locked fails `make check`; a registry that does not answer does not."""

import gzip
import json
import os
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest

import audit

pytestmark = pytest.mark.lab

UNKNOWN: Final = {"name": "one", "skip_reason": "Dependency not found and could not be audited: one (1.0)"}
CLEAN: Final = {"name": "two", "version": "2.0", "vulns": []}
VULNERABLE: Final = {
    "name": "three",
    "version": "3.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.1", "4.0"], "aliases": ["CVE-1"]}],
}
METADATA: Final = {"dependencies": {"total": 7}}
NODE_CLEAN: Final = {"auditReportVersion": 2, "vulnerabilities": {}, "metadata": METADATA}
NODE_VULNERABLE: Final = {
    "auditReportVersion": 2,
    "vulnerabilities": {
        "aws-cdk": {
            "name": "aws-cdk",
            "via": [
                "another",
                {"name": "aws-cdk", "url": "https://advisories.example/GHSA-1", "range": "<3.0.0"},
            ],
            "nodes": ["node_modules/aws-cdk"],
        }
    },
    "metadata": METADATA,
}
NODE_REFUSED: Final = {"message": "405 Method Not Allowed", "error": {"summary": "", "detail": ""}}

Say = Callable[..., None]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Say:
    """Puts stand-ins for both programs on the path: what they write, and what they exit with."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    def say(python: object, node: object, *, code: int = 1, before: str = "") -> None:
        for name, said in (("pip-audit", python), ("npm", node)):
            (tmp_path / f"{name}.said").write_text(said if isinstance(said, str) else json.dumps(said))
            script = tmp_path / name
            script.write_text(f'#!/bin/sh\n{before}\ncat "$0.said"\nexit {code}\n')
            script.chmod(script.stat().st_mode | stat.S_IXUSR)

    return say


def test_nothing_that_is_known_passes_and_is_said(programs: Say, capsys: pytest.CaptureFixture[str]) -> None:
    programs({"dependencies": [UNKNOWN, CLEAN, CLEAN]}, NODE_CLEAN, code=0)
    audit.main()
    assert capsys.readouterr().out == (
        "pip-audit has found nothing against the 2 packages that the registry knows.\n"
        "npm has found nothing against the 7 packages that the registry knows.\n"
    )


def test_what_is_known_fails_with_package_version_vulnerability_and_remedy(programs: Say) -> None:
    programs({"dependencies": [UNKNOWN, CLEAN, VULNERABLE]}, NODE_VULNERABLE)
    with pytest.raises(SystemExit) as failure:
        audit.main()
    assert str(failure.value.code).splitlines()[1:] == [
        "  three 3.0: PYSEC-1, fixed in 3.1, 4.0",
        "  aws-cdk 2.1148.1: GHSA-1, fixed in what is not <3.0.0",
    ]


@pytest.mark.parametrize("name", ["PYSEC-1", "CVE-1"])
def test_what_was_accepted_passes_by_each_of_its_names(
    programs: Say, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(audit, "ACCEPTED", {name: "we never call it", "GHSA-1": "nor this"})
    programs({"dependencies": [VULNERABLE]}, NODE_VULNERABLE)
    audit.main()


@pytest.mark.parametrize(
    ("python", "node"),
    [
        ({"dependencies": [UNKNOWN, UNKNOWN]}, NODE_REFUSED),
        ({"dependencies": []}, {"error": {"code": "ENOAUDIT"}}),
        ("", ""),
        ("<html>a captive portal</html>", "<html>a captive portal</html>"),
    ],
    ids=["all-skipped", "none", "silence", "garbage"],
)
def test_no_answer_is_a_sentence_and_no_failure(
    programs: Say, capsys: pytest.CaptureFixture[str], python: object, node: object
) -> None:
    programs(python, node)
    audit.main()
    assert capsys.readouterr().out.count(": nothing is known of vulnerabilities.\n") == 2


@pytest.mark.parametrize("said", [[], {}, 5, None, "text", {"dependencies": 5, "vulnerabilities": 5}])
def test_an_answer_of_another_shape_is_none(programs: Say, capsys: pytest.CaptureFixture[str], said: object) -> None:
    programs(json.dumps(said), json.dumps(said))
    audit.main()
    assert capsys.readouterr().out.count(": nothing is known of vulnerabilities.\n") == 2


def test_an_answer_that_does_not_come_is_not_waited_for(
    programs: Say, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "_WHOLE_S", 0.2)
    programs({"dependencies": [VULNERABLE]}, NODE_VULNERABLE, before="exec sleep 60")
    audit.main()
    assert capsys.readouterr().out.count("had no answer within 0.2 s: nothing is known") == 2


def test_a_command_line_that_is_wrong_is_no_silence(programs: Say) -> None:
    programs("", "", code=2, before="echo usage: >&2")
    with pytest.raises(SystemExit, match="usage:"):
        audit.main()


class _Registry(BaseHTTPRequestHandler):
    """Knows something against one package of each kind, and speaks as OSV and as npm's registry do."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers["content-encoding"] == "gzip":
            body = gzip.decompress(body)
        asked = json.loads(body)
        if self.path == "/v1/query":
            name = asked["package"]["name"]
            versions = {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "999"}]}
            affected = {"package": {"name": name, "ecosystem": "PyPI"}, "ranges": [versions]}
            vulnerability = {"id": "OSV-1", "aliases": [], "summary": "bad", "affected": [affected]}
            self._answer({"vulns": [vulnerability]} if name == "httpx" else {})
        else:
            assert self.path == "/-/npm/v1/security/advisories/bulk"
            advisory = {"id": 1, "url": "https://advisories.example/GHSA-1", "title": "bad", "severity": "high"}
            self._answer({"aws-cdk": [{**advisory, "vulnerable_versions": "<999.0.0"}]} if "aws-cdk" in asked else {})

    def do_GET(self) -> None:
        self._answer({}, 404)

    def log_message(self, *_arguments: object) -> None:
        pass

    def _answer(self, content: Any, status: int = 200) -> None:  # noqa: ANN401 - any JSON
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def registry() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Registry) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.slow
def test_the_real_programs_say_what_a_registry_knows(registry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    monkeypatch.setenv("PIP_AUDIT_VULNERABILITY_SERVICE", "osv")
    monkeypatch.setenv("PIP_AUDIT_OSV_URL", f"{registry}/v1/query")
    monkeypatch.setenv("npm_config_registry", registry)  # npm's own spelling
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    with pytest.raises(SystemExit) as failure:
        audit.main()
    head, python, node = str(failure.value.code).splitlines()
    assert head == "These packages are locked, and known to be vulnerable:"
    assert python.startswith("  httpx 0.")
    assert python.endswith(": OSV-1, fixed in 999")
    assert node == "  aws-cdk 2.1148.1: GHSA-1, fixed in what is not <999.0.0"
