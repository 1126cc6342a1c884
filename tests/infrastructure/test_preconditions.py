"""What `make deploy` checks first: credentials, the bootstrap, and that no setting is reset unasked."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from botocore.stub import Stubber

import emulator
from emulator.tools import ACCOUNT, NODE, REGION
from stacks.deployment_file import NAME
from stacks.preconditions import Account, PreconditionError, check
from stacks.settings import SettingError
from tests.infrastructure.synthesis import ROOT

DEPLOYED: Final = {
    "secret": "off",
    "log_retention_days": "7",
    "subscribers": "someone@example.com,https://hooks.example.com/services/secret",
}
ALL_OF_THEM: Final = 'secret = true\nlog_retention_days = 14\nsubscribers = ["other@example.com"]\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder to deploy from."""
    (tmp_path / "cdk.json").write_text((ROOT / "cdk.json").read_text())
    return tmp_path


@pytest.fixture(scope="module")
def deployment() -> Iterator[emulator.Deployment]:
    """One with settings of its own, and IAM enforced."""
    with emulator.deployed(settings=DEPLOYED, auth=True) as deployed:
        yield deployed


@pytest.fixture
def deployer(deployment: emulator.Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who may assume the roles of the CDK, and nothing else."""
    variables = {
        "AWS_ENDPOINT_URL": deployment.endpoint,
        "AWS_CA_BUNDLE": str(deployment.authority),
        "AWS_REGION": REGION,
        **deployment.deployer,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def configure(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    (folder / "config").write_text(text)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))


@pytest.mark.parametrize("command", ["deploy", "bootstrap", "destroy"])
def test_without_credentials_one_sentence_says_what_to_do(checkout: Path, command: str) -> None:
    with pytest.raises(PreconditionError) as stopped:
        check(command, [], checkout)
    for hint in ("AWS_PROFILE", "`aws sts get-caller-identity`", "`make bootstrap`"):
        assert hint in str(stopped.value)
    assert "\n" not in str(stopped.value)


def test_a_profile_that_does_not_exist_is_named(checkout: Path) -> None:
    with pytest.raises(PreconditionError, match=r"\(The config profile \(nowhere\) could not be found\)"):
        check("deploy", ["--profile", "nowhere"], checkout)


def test_a_profile_with_mfa_is_left_to_the_cdk_cli_which_asks_for_the_code_once(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = (
        "role_arn = arn:aws:iam::123456789012:role/admin\nsource_profile = base\nmfa_serial = arn:aws:iam::123:mfa/me"
    )
    configure(monkeypatch, checkout, f"[profile admin]\n{role}\n[profile base]\nregion = eu-west-1\n")
    check("deploy", ["--profile", "admin"], checkout)


def test_a_configuration_that_cannot_be_read_is_left_to_the_cdk_cli(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, checkout, "[profile admin\nregion = eu-west-1\n")
    check("deploy", ["--profile", "admin"], checkout)


def test_a_stack_of_others_has_no_settings_to_reset() -> None:
    """Under the name that was chosen there may be one that was written in YAML."""
    account = Account(None, "hnb659fds")
    account.__dict__["identity"] = {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/me"}
    account.__dict__["_deployer"] = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
    cloudformation = account._as_deployer("cloudformation")  # noqa: SLF001 - what is asked is scripted
    account.__dict__["_as_deployer"] = lambda _service: cloudformation
    for body in ("Resources: {}", '{"Resources": {}}'):
        with Stubber(cloudformation) as stub:
            stub.add_response("get_template", {"TemplateBody": body}, {"StackName": "Theirs"})
            assert account.deployed_settings("Theirs") == {}


def test_where_the_account_cannot_be_asked_the_cdk_cli_goes_on(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    check("deploy", [], checkout)


@pytest.mark.emulator
@pytest.mark.usefixtures("deployer")
def test_credentials_that_are_not_valid_are_reported(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    with pytest.raises(PreconditionError, match="there are no valid AWS credentials"):
        check("deploy", [], checkout)


@pytest.mark.emulator
@pytest.mark.usefixtures("deployer")
@pytest.mark.parametrize(
    ("region", "arguments"),
    [("eu-west-1", []), (REGION, ["-c", "@aws-cdk/core:bootstrapQualifier=other"])],
    ids=["another region", "another qualifier"],
)
def test_an_account_that_is_not_bootstrapped_is_reported(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, region: str, arguments: list[str]
) -> None:
    monkeypatch.setenv("AWS_REGION", region)
    with pytest.raises(PreconditionError) as stopped:
        check("deploy", arguments, checkout)
    assert str(stopped.value).startswith(f"account {ACCOUNT} is not prepared for the CDK in {region}, or you may not ")
    for hint in ("AWS_PROFILE", "`aws sts get-caller-identity`", "`make bootstrap`"):
        assert hint in str(stopped.value)
    check("bootstrap", arguments, checkout)
    check("destroy", arguments, checkout)


@pytest.mark.emulator
@pytest.mark.usefixtures("deployer")
def test_a_deployment_that_would_reset_settings_unasked_is_stopped(checkout: Path) -> None:
    """As from a new clone, whose deployment.toml is still on another machine."""
    (checkout / NAME).write_text("secret = false\n")
    with pytest.raises(PreconditionError) as stopped:
        check("deploy", [], checkout)
    head, *lines = str(stopped.value).splitlines()
    assert "would reset them to their defaults" in head
    assert lines == [
        "  log_retention_days = 7",
        '  subscribers = ["someone@example.com", "https://hooks.example.com/ (path not shown)"]',
    ]


@pytest.mark.emulator
@pytest.mark.usefixtures("deployer")
def test_settings_that_are_given_may_change_in_any_way(checkout: Path) -> None:
    (checkout / NAME).write_text(ALL_OF_THEM)
    check("deploy", ["--require-approval=never"], checkout)
    (checkout / NAME).unlink()
    check(
        "deploy",
        ["-c", "scheduler:secret=on", "-c", "scheduler:log_retention_days=30", "--context", "scheduler:subscribers="],
        checkout,
    )
    check("deploy", ["-c", "scheduler:stack=TaskSchedulerNew"], checkout)


@pytest.mark.emulator
@pytest.mark.usefixtures("deployer")
def test_a_mistake_in_the_settings_is_reported_before_anything_is_synthesized(checkout: Path) -> None:
    (checkout / NAME).write_text("secrets = false\n")
    with pytest.raises(SettingError, match=r"^deployment\.toml: secrets is not a setting\."):
        check("deploy", [], checkout)


def run(*command: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the checkout, without anything of this environment."""
    return subprocess.run(  # noqa: S603 - our own command
        [str(part) for part in command],
        cwd=ROOT,
        env={"PATH": os.defpath, "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull}
        | {"AWS_SHARED_CREDENTIALS_FILE": os.devnull, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_ends_with_the_sentence_alone() -> None:
    done = run(sys.executable, "-m", "stacks.preconditions", "deploy", "--require-approval=never")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Task Scheduler: there are no valid AWS credentials (")
    assert done.stderr.count("\n") == 1


def test_app_says_how_to_install_what_it_needs() -> None:
    """As with the Python of the system, in a shell where no environment is activated."""
    done = run(sys.executable, "-S", "app.py")
    assert done.returncode == 1
    assert done.stderr.startswith(f"Task Scheduler: {sys.executable} has no aws-cdk-lib; create an environment for it")
    assert "pip install --require-hashes -r requirements/deploy.txt" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_app_warns_without_credentials_before_it_builds_anything_and_shows_the_settings(tmp_path: Path) -> None:
    context = json.dumps(
        {"scheduler:file": "", "scheduler:production": "on", "scheduler:subscribers": "https://u:p@h.example/x"}
    )
    done = run(
        sys.executable,
        "app.py",
        JSII_NODE=str(NODE),
        HOME=str(Path.home()),
        CDK_OUTDIR=str(tmp_path),
        CDK_CONTEXT_JSON=context,
    )
    assert done.returncode == 0, done.stderr
    warning, head, *rest = done.stderr.splitlines()
    assert warning.startswith("Task Scheduler: there are no valid AWS credentials, so this can be synthesized but not")
    assert head == "Task Scheduler: stack TaskScheduler, settings that differ from the defaults (-c):"
    assert rest[:2] == ["  production = true", '  subscribers = ["https://h.example/ (path not shown)"]']
