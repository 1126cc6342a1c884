"""`make deploy-local`: starts, says where, and leaves nothing behind."""

import json
import os
import re
import shlex
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import punctuation
from typing import Any, Final, cast
from urllib.parse import urlsplit

import aws_cdk as cdk
import boto3
import httpx
import pytest

from emulator import Deployment, Emulator, EmulatorError, deployed
from emulator.corrections.secretsmanager import InvalidParameterError, random_password
from emulator.process import HOST
from emulator.tools import REGION, ROOT
from stacks.settings import Settings
from stacks.task_scheduler_stack import TaskSchedulerStack
from task_scheduler.client import Client
from tests.infrastructure.inventory import names_of
from tests.support.clock import eventually
from tests.support.synthesis import CONTEXT, shared_synthesis

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
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """An open deployment with low limits."""
    settings = Settings(secret=False, requests_per_second=1, request_burst=5)
    with deployed(assembly=shared_synthesis(tmp_path_factory, settings).folder) as deployment:
        assert deployment.secret == ""
        yield deployment


@pytest.fixture(scope="module")
def usual(small: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """Another one beside it, open but with the usual limits."""
    settings = Settings(stack="TaskSchedulerUsual", secret=False)
    return small.create(shared_synthesis(tmp_path_factory, settings).folder)


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
    [("1", signal.SIGINT), pytest.param("", signal.SIGTERM, marks=pytest.mark.long)],
    ids=["with AUTH, ended by Ctrl-C", "without AUTH, ended by SIGTERM"],
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
        _, errors = process.communicate(timeout=120)
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
    iam = enforcing.client("iam")
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
def test_a_request_without_a_free_function_gets_503_with_retry_after_and_our_client_retries_it(
    usual: Deployment,
) -> None:
    """As a new account, with ten concurrent executions, soon meets it."""
    functions = usual.client("lambda")
    [api] = [
        one["FunctionName"]
        for one in functions.list_functions()["Functions"]
        if one["FunctionName"].startswith("TaskSchedulerUsual-ApiFunction")
    ]
    functions.put_function_concurrency(FunctionName=api, ReservedConcurrentExecutions=0)
    pauses = []

    def free(pause: float) -> None:
        pauses.append(pause)
        functions.delete_function_concurrency(FunctionName=api)

    response = httpx.get(f"{usual.url}tasks")
    assert response.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert response.headers["retry-after"] == "1"
    assert list(response.json()) == ["errors"]
    with Client(usual.url, secret="", sleep=free) as client:
        assert client.schedule_in(3600, "accepted at the second attempt").id
    [pause] = pauses
    assert pause >= 1


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """The stack as it once was: with a secret that Secrets Manager cannot generate."""
    app = cdk.App(outdir=str(tmp_path / "broken"), analytics_reporting=False, context=CONTEXT)
    stack = TaskSchedulerStack(app, "TaskSchedulerBroken", settings=Settings())
    secret = stack.node.find_child("Secret").node.find_child("Value").node.default_child
    generated = {"ExcludeCharacters": punctuation, "PasswordLength": 40}
    cast("cdk.CfnResource", secret).add_property_override("GenerateSecretString", generated)
    cast("cdk.CfnResource", secret).add_property_deletion_override("GenerateSecretString.ExcludePunctuation")
    return Path(app.synth().directory)


@pytest.mark.emulator
def test_a_failed_first_deployment_leaves_nothing_behind_and_the_next_one_works(
    small: Deployment, broken: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.raises(EmulatorError, match="All characters of the desired type have been excluded"):
        small.create(broken)
    left = {kind: names for kind, names in names_of(small, "TaskSchedulerBroken").items() if names}
    assert left == {}
    settings = Settings(stack="TaskSchedulerBroken")
    works = small.create(shared_synthesis(tmp_path_factory, settings).folder)
    assert works.secret.isalnum()
    assert len(names_of(small, "TaskSchedulerBroken")["tables"]) == 2


@pytest.mark.emulator
@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"ExcludeCharacters": punctuation}, "All characters of the desired type have been excluded."),
        (
            {"ExcludePunctuation": True, "ExcludeNumbers": True, "ExcludeLowercase": True, "ExcludeUppercase": True},
            "All characters of the desired type have been excluded.",
        ),
        ({"PasswordLength": 3}, "The password length is too short for the required character types."),
        ({"PasswordLength": 4097}, "PasswordLength must be between 1 and 4096."),
    ],
    ids=["a class emptied", "all classes off", "too short for its classes", "too long"],
)
def test_the_emulator_generates_no_password_that_secrets_manager_would_reject(
    small: Deployment, properties: dict[str, Any], message: str
) -> None:
    client = small.client("secretsmanager")
    with pytest.raises(client.exceptions.ClientError, match=re.escape(message)):
        client.get_random_password(**properties)
    with pytest.raises(InvalidParameterError, match=re.escape(message)):
        random_password(properties)


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({}, r"(?=.*[a-z])(?=.*[A-Z])(?=.*\d)(?=.*[^a-zA-Z\d]).{32}"),
        ({"ExcludePunctuation": "true", "PasswordLength": "3"}, r"(?=.*[a-z])(?=.*[A-Z])(?=.*\d)[a-zA-Z\d]{3}"),
        ({"ExcludeCharacters": punctuation, "RequireEachIncludedType": False}, r"[a-zA-Z\d]{32}"),
        ({"IncludeSpace": True, "PasswordLength": 5}, r"(?=.* ).{5}"),
        ({"ExcludeLowercase": True, "ExcludeNumbers": True, "ExcludePunctuation": True}, r"[A-Z]{32}"),
    ],
)
def test_a_generated_password_has_a_character_of_each_class_that_is_left_on(
    properties: dict[str, Any], expected: str
) -> None:
    for _ in range(20):
        assert re.fullmatch(expected, random_password(properties))


@pytest.mark.emulator
def test_a_reference_to_a_secret_is_its_arn(small: Deployment) -> None:
    template = {
        "Resources": {"Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"GenerateSecretString": {}}}},
        "Outputs": {"Reference": {"Value": {"Ref": "Secret"}}},
    }
    cloudformation = small.client("cloudformation")
    cloudformation.create_stack(StackName="Referring", TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(StackName="Referring", WaiterConfig={"Delay": 0.1})
    [stack] = cloudformation.describe_stacks(StackName="Referring")["Stacks"]
    [output] = stack["Outputs"]
    secret = small.client("secretsmanager").describe_secret(SecretId=output["OutputValue"])
    assert secret["ARN"] == output["OutputValue"]


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
