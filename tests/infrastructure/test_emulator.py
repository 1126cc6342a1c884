"""`make deploy-local`: starts, says where, and leaves nothing behind."""

import json
import os
import shlex
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import boto3
import httpx
import pytest

from emulator import Deployment, Emulator, EmulatorError, deployed
from emulator.deployment import client
from emulator.process import HOST
from emulator.tools import REGION, ROOT
from tests.conformance.clock import eventually

PAST: Final = "2020-08-21T04:29:00.951Z"


@pytest.fixture
def busy_port() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server((HOST, 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def enforcing(tmp_path: Path) -> Iterator[Emulator]:
    """An emulator that enforces IAM, with nothing deployed into it."""
    emulator = Emulator(tmp_path, auth=True)
    try:
        yield emulator.start()
    finally:
        emulator.stop()


@pytest.fixture(scope="module")
def small() -> Iterator[Deployment]:
    """An open deployment with low limits."""
    with deployed(settings={"secret": "off", "requests_per_second": "1", "request_burst": "5"}) as deployment:
        assert deployment.secret == ""
        yield deployment


def is_free(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((HOST, port)) != 0


@contextmanager
def command(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run what `make deploy-local` runs, with its traces in the folder."""
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "emulator", f"--announce={folder / 'there.json'}", *arguments],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def announced(folder: Path, process: subprocess.Popen[str]) -> dict[str, str]:
    """Wait for the file that says where the deployment is, and what callers need; return what it says."""
    file = folder / "there.json"
    eventually(lambda: file.exists() or process.poll() is not None, within=120)
    there: dict[str, str] = json.loads(file.read_text())
    return there


def test_a_port_that_is_taken_is_refused_in_one_sentence(tmp_path: Path, busy_port: int) -> None:
    with pytest.raises(EmulatorError) as refused:
        Emulator(tmp_path, port=busy_port)
    assert str(refused.value) == (
        f"Port {busy_port} of 127.0.0.1 is taken (Address already in use); choose another, or 0 for any free one."
    )


def test_the_command_refuses_a_port_that_is_taken_and_takes_nothing_from_whoever_has_it(
    tmp_path: Path, busy_port: int
) -> None:
    theirs = tmp_path / "there.json"
    theirs.write_text("theirs")
    with command(tmp_path, f"--port={busy_port}") as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.startswith(f"Port {busy_port} of 127.0.0.1 is taken")
    assert errors.count("\n") == 1
    assert theirs.read_text() == "theirs"


def test_the_command_refuses_an_auth_that_is_neither_on_nor_off(tmp_path: Path) -> None:
    with command(tmp_path, "--auth=yes") as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors == "AUTH must be 1, which enforces IAM over TLS, or 0, not 'yes'.\n"


@pytest.mark.emulator
@pytest.mark.parametrize(
    ("auth", "end"),
    [("", signal.SIGINT), ("1", signal.SIGTERM)],
    ids=["without AUTH, ended by Ctrl-C", "with AUTH, ended by SIGTERM"],
)
def test_the_command_deploys_says_where_and_leaves_nothing_behind(
    tmp_path: Path, auth: str, end: signal.Signals
) -> None:
    with command(tmp_path, "--port=0", f"--auth={auth}") as process:
        there = announced(tmp_path, process)
        url, secret = there["url"], there["secret"]
        assert there == {"url": url, "secret": secret} | ({"ca": str(tmp_path / "there.pem")} if auth else {})
        assert urlsplit(url).scheme == ("https" if auth else "http")
        trust = ssl.create_default_context(cafile=there.get("ca"))
        assert httpx.get(f"{url}health", verify=trust).json()["status"] == "ok"
        refused = httpx.post(f"{url}schedule", json={"timestamp": PAST, "message": "hello"}, verify=trust)
        assert refused.status_code == httpx.codes.UNAUTHORIZED
        printed = iter(process.stdout or [])
        curl = next(line.partition("curl ")[2] for line in printed if "curl " in line)
        assert "Scheduled task at " in asked(shlex.split(curl))
        process.send_signal(end)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert secret in curl
    assert list(tmp_path.iterdir()) == []
    eventually(lambda: is_free(urlsplit(url).port or 0))


def asked(arguments: list[str]) -> str:
    """Return what curl gets, with what it was printed with and no settings of its own."""
    done = subprocess.run(  # noqa: S603 - our own line
        ["curl", "--disable", "--silent", "--show-error", *arguments],  # noqa: S607 - the one that people type
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.emulator
def test_nobody_who_does_not_trust_its_authority_is_served_and_iam_is_enforced(enforcing: Emulator) -> None:
    assert enforcing.certificate
    health = f"{enforcing.endpoint}/_ministack/health"
    strict = ssl.create_default_context(cafile=enforcing.certificate.authority)
    strict.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python from 3.13 on
    assert httpx.get(health, verify=strict).is_success
    with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
        httpx.get(health, verify=ssl.create_default_context())
    iam = client(enforcing, "iam")
    iam.create_user(UserName="nobody")
    key = iam.create_access_key(UserName="nobody")["AccessKey"]
    nobody = boto3.client(
        "dynamodb",
        endpoint_url=enforcing.endpoint,
        verify=str(enforcing.certificate.authority),
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        region_name=REGION,
    )
    with pytest.raises(nobody.exceptions.ClientError, match="not authorized to perform: dynamodb:ListTables"):
        nobody.list_tables()


@pytest.mark.emulator
def test_who_asks_too_often_is_told_so(small: Deployment) -> None:
    """By the limit of all routes: the emulator does not read that of one route."""
    with httpx.Client(base_url=small.url) as client:
        answers = [client.post("schedule", json={"timestamp": PAST, "message": "hello"}) for _ in range(30)]
    assert {answer.status_code for answer in answers} == {httpx.codes.OK, httpx.codes.TOO_MANY_REQUESTS}
    refusal = next(answer for answer in answers if answer.status_code == httpx.codes.TOO_MANY_REQUESTS)
    assert refusal.headers["retry-after"] == "1"
    assert refusal.json() == {"errors": ["Too many requests. Please wait a second and try again."]}


@pytest.mark.emulator
@pytest.mark.long
def test_the_emulator_ends_even_if_the_command_is_killed(tmp_path: Path) -> None:
    with command(tmp_path, "--port=0") as process:
        url = announced(tmp_path, process)["url"]
        process.kill()
    eventually(lambda: is_free(urlsplit(url).port or 0))


@pytest.mark.emulator
def test_an_emulator_that_dies_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path)
    try:
        emulator.start()
        emulator.log.write_text("its last words\n")
        emulator.kill()
        emulator.wait()
        assert not emulator.running()
        assert "its last words" in emulator.account_of_death()
    finally:
        emulator.stop()
