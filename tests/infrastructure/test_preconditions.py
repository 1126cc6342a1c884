"""What `make deploy` checks first: credentials, the bootstrap, and that no setting is reset unasked."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import botocore.session
import pytest
from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    LoginRefreshRequired,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)
from botocore.stub import Stubber

import emulator
from emulator.tools import ACCOUNT, NODE, REGION
from stacks.account import Account, PreconditionError, UncheckedError, UnrecordedError
from stacks.deployment_file import METADATA, NAME
from stacks.preconditions import check
from stacks.settings import SettingError, Settings
from tests.support.synthesis import ROOT, shared_synthesis

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
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulator.Deployment]:
    """One with settings of its own, and IAM enforced."""
    assembly = shared_synthesis(tmp_path_factory, Settings.of(DEPLOYED)).folder
    with emulator.deployed(assembly=assembly, auth=True) as deployed:
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


MFA: Final = "mfa_serial = arn:aws:iam::123456789012:mfa/me"
ROLE: Final = "role_arn = arn:aws:iam::123456789012:role/admin"


BASE: Final = "[profile base]\nregion = eu-west-1\n"


@pytest.mark.parametrize(
    "profiles",
    [
        f"[profile admin]\n{ROLE}\nsource_profile = base\n{MFA}\n{BASE}",
        f"[profile admin]\n{ROLE}\nsource_profile = mid\n[profile mid]\n{ROLE}\nsource_profile = base\n{MFA}\n{BASE}",
    ],
    ids=["in the profile", "in its source"],
)
def test_a_profile_with_mfa_is_left_to_the_cdk_cli_which_asks_for_the_code_once(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, profiles: str
) -> None:
    configure(monkeypatch, checkout, profiles)
    with pytest.raises(UncheckedError, match="the profile uses MFA"):
        check("deploy", ["--profile", "admin"], checkout)
    monkeypatch.setenv("CDK_PROFILE", "admin")
    with pytest.raises(UncheckedError, match="the profile uses MFA"):
        check("deploy", [], checkout)


def test_a_profile_is_taken_from_the_files_of_the_cdk_cli(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(checkout))
    (checkout / ".cdk.json").write_text('{"profile": "mine"}')
    with pytest.raises(PreconditionError, match=r"profile \(mine\) could not be found"):
        check("deploy", [], checkout)


def test_a_configuration_that_cannot_be_read_is_left_to_the_cdk_cli(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, checkout, "[profile admin\nregion = eu-west-1\n")
    with pytest.raises(UncheckedError, match="Unable to parse config file"):
        check("deploy", ["--profile", "admin"], checkout)


def test_where_the_account_cannot_be_asked_the_cdk_cli_goes_on(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    for name, value in credentials.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UncheckedError, match="Could not connect to the endpoint URL"):
        check("deploy", [], checkout)


class Scripted(Account):
    """An account whose answers a test writes."""

    def __init__(self, profile: str | None = None) -> None:
        super().__init__(profile, "hnb659fds")
        self.__dict__["identity"] = {"Account": ACCOUNT, "Arn": f"arn:aws-cn:iam::{ACCOUNT}:user/me"}
        self.__dict__["_deployer"] = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
        make = super()._as_deployer
        self.clients = {service: make(service) for service in ("cloudformation", "ssm")}

    def _as_deployer(self, service: str) -> Any:  # noqa: ANN401 - as of Account
        return self.clients[service]

    def with_stack(self, status: str, template: str) -> Mapping[str, Any] | None:
        """Return the settings of a stack that has this status and template."""
        described = {"StackName": "Theirs", "StackStatus": status, "CreationTime": datetime.now(UTC)}
        with Stubber(self.clients["cloudformation"]) as stub:
            stub.add_response("describe_stacks", {"Stacks": [described]}, {"StackName": "Theirs"})
            stub.add_response("get_template", {"TemplateBody": template}, {"StackName": "Theirs"})
            return self.deployed_settings("Theirs")


RECORDED: Final = json.dumps({"Metadata": {METADATA: '{"production": true}'}})


def test_the_settings_of_a_stack_are_those_that_its_template_records() -> None:
    assert Scripted().with_stack("UPDATE_ROLLBACK_COMPLETE", RECORDED) == {"production": True}


NEVER_CREATED: Final = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "REVIEW_IN_PROGRESS"}
_MODEL: Final = botocore.session.Session().get_service_model("cloudformation")
STATUSES: Final[list[str]] = _MODEL.shape_for("StackStatus").metadata["enum"]


@pytest.mark.parametrize("status", STATUSES)
def test_a_stack_of_any_status_has_settings_unless_its_creation_failed(status: str) -> None:
    expected = None if status in NEVER_CREATED else {"production": True}
    assert Scripted().with_stack(status, RECORDED) == expected


def test_only_a_stack_that_does_not_exist_is_taken_as_absent() -> None:
    account = Scripted()
    with Stubber(account.clients["cloudformation"]) as stub:
        stub.add_client_error("describe_stacks", "ValidationError")
        assert account.deployed_settings("Theirs") is None
        stub.add_client_error("describe_stacks", "AccessDenied")
        with pytest.raises(ClientError, match="AccessDenied"):
            account.deployed_settings("Theirs")
        stub.add_client_error("describe_stacks", "AccessDenied")
        with pytest.raises(ClientError, match="AccessDenied"):
            account.demand_stack("Theirs")


class Caller:
    """A client of STS whose one call fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def get_caller_identity(self) -> None:
        """Raise the error."""
        raise self._error


def identity_with(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for the identity where the call ends with this error."""
    monkeypatch.setattr(Account, "_client", lambda _self, _service: Caller(error))
    account = Account(None, "hnb659fds", REGION)
    account.identity  # noqa: B018 - to ask is to check


@pytest.mark.parametrize(
    "error",
    [
        NoCredentialsError(),
        PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
        CredentialRetrievalError(provider="custom-process", error_msg="it failed"),
        LoginRefreshRequired(),
        ProfileNotFound(profile="source"),
        UnauthorizedSSOTokenError(),
        TokenRetrievalError(provider="sso", error_msg="it has expired"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_credentials_that_cannot_be_obtained_are_reported(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PreconditionError, match=r"^there are no valid AWS credentials \(") as stopped:
        identity_with(error, monkeypatch)
    assert str(error).rstrip(".") in str(stopped.value)


@pytest.mark.parametrize(
    "code",
    [
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    ],
)
def test_credentials_that_sts_rejects_are_reported(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error = ClientError({"Error": {"Code": code, "Message": "They are not valid."}}, "GetCallerIdentity")
    with pytest.raises(PreconditionError, match=r"no valid AWS credentials \(They are not valid\): set AWS_PROFILE"):
        identity_with(error, monkeypatch)


def test_another_error_of_sts_says_nothing_about_the_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    error = ClientError({"Error": {"Code": "Throttling", "Message": "Rate exceeded"}}, "GetCallerIdentity")
    with pytest.raises(ClientError, match="Rate exceeded"):
        identity_with(error, monkeypatch)


class Deployed:
    """The account of a check, which notes how it was chosen."""

    settings: Mapping[str, Any] | None = None
    chosen: tuple[object, ...] = ()
    identity: Final = {"Account": ACCOUNT}

    def __call__(self, *chosen: object) -> "Deployed":
        """Stand in for the constructor of Account: profile, qualifier, region."""
        self.chosen = chosen
        return self

    def demand_bootstrap(self) -> None:
        """It is bootstrapped."""

    def deployed_settings(self, stack: str) -> Mapping[str, Any] | None:
        """Return what the test has set, for every stack."""
        assert stack
        return self.settings


@pytest.fixture
def account(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Deployed:
    """An account that has nothing deployed, and a home without files of the CDK CLI."""
    (checkout / "home").mkdir()
    monkeypatch.setenv("HOME", str(checkout / "home"))
    for name in [name for name in os.environ if name.startswith("CDK_")]:
        monkeypatch.delenv(name)
    account = Deployed()
    monkeypatch.setattr("stacks.preconditions.Account", account)
    return account


@pytest.mark.parametrize(("name", "position"), [("profile", 0), ("region", 2)])
def test_argument_variable_project_and_user_come_in_the_order_of_the_cdk_cli(
    account: Deployed, checkout: Path, monkeypatch: pytest.MonkeyPatch, name: str, position: int
) -> None:
    check("deploy", [], checkout)
    assert account.chosen[position] is None
    (checkout / "home" / ".cdk.json").write_text(json.dumps({name: "user"}))
    check("deploy", [], checkout)
    assert account.chosen[position] == "user"
    (checkout / "cdk.json").write_text(json.dumps({name: "project"}))
    check("deploy", [], checkout)
    assert account.chosen[position] == "project"
    monkeypatch.setenv(f"CDK_{name.upper()}", "variable")
    check("deploy", [], checkout)
    assert account.chosen[position] == "variable"
    check("deploy", [f"--{name}", "argument"], checkout)
    assert account.chosen[position] == "argument"


def test_the_context_comes_from_the_sources_of_the_cdk_cli_in_its_order(
    account: Deployed, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each checked with cdk 2.1148.1: the variable is one assignment, and only used without such an argument."""
    key = "@aws-cdk/core:bootstrapQualifier"

    def qualifier(*arguments: str) -> object:
        check("deploy", arguments, checkout)
        return account.chosen[1]

    (checkout / "cdk.json").write_text("{}")
    assert qualifier() == "hnb659fds"
    (checkout / "home" / ".cdk.json").write_text(json.dumps({"context": {key: "user"}}))
    assert qualifier() == "user"
    (checkout / "cdk.context.json").write_text(json.dumps({key: "cached"}))
    assert qualifier() == "cached"
    (checkout / "cdk.json").write_text(json.dumps({"context": {key: "project"}}))
    assert qualifier() == "project"
    monkeypatch.setenv("CDK_CONTEXT", f"{key}=variable=x")
    assert qualifier() == "variable=x"
    assert qualifier("-c", f"{key}=first", "--context", f"{key}=argument=x") == "argument=x"
    assert qualifier("-c", "other=1") == "project"


def test_a_setting_in_the_variable_of_the_context_counts_as_given(
    account: Deployed, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.settings = {"secret": False}
    with pytest.raises(PreconditionError, match="would reset them"):
        check("deploy", [], checkout)
    monkeypatch.setenv("CDK_CONTEXT", "scheduler:secret=on")
    check("deploy", [], checkout)


def test_a_recorded_setting_that_no_longer_exists_is_ignored(account: Deployed, checkout: Path) -> None:
    account.settings = {"gone": 1}
    check("deploy", [], checkout)


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("arguments", [[], ["--require-approval=broadening"], ["--require-approval", "any-change"]])
def test_a_new_stack_is_not_deployed_without_a_terminal_to_approve_its_permissions(
    checkout: Path, arguments: list[str]
) -> None:
    check("deploy", arguments, checkout, terminal=True)
    with pytest.raises(PreconditionError, match=r"`make deploy ARGS=--require-approval=never`\.$") as stopped:
        check("deploy", arguments, checkout, terminal=False)
    assert "\n" not in str(stopped.value)


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    "arguments", [["--require-approval=never"], ["--require-approval", "destructive"], ["--yes"], ["-y"]]
)
def test_a_new_stack_needs_no_terminal_if_its_permissions_are_approved(checkout: Path, arguments: list[str]) -> None:
    check("deploy", arguments, checkout, terminal=False)


@pytest.mark.usefixtures("account")
def test_permissions_can_be_approved_in_the_variable_and_the_file_of_the_cdk_cli(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("CDK_REQUIRE_APPROVAL", "never")
        check("deploy", [], checkout, terminal=False)
    (checkout / "cdk.json").write_text('{"requireApproval": "never"}')
    check("deploy", [], checkout, terminal=False)


def test_an_update_without_a_terminal_is_left_to_the_cdk_cli(account: Deployed, checkout: Path) -> None:
    """It asks only if the update adds permissions, which is not known yet."""
    account.settings = {}
    check("deploy", [], checkout, terminal=False)


@pytest.mark.parametrize(
    "template", ["Resources: {}", '{"Resources": {}}', '{"Metadata": {"TaskScheduler::Settings": "none"}}']
)
def test_a_stack_that_does_not_record_its_settings_is_reported_as_not_checked(template: str) -> None:
    """One of others, in YAML too, or one of a version that did not record them yet."""
    with pytest.raises(UnrecordedError):
        Scripted().with_stack("CREATE_COMPLETE", template)


@pytest.mark.parametrize(
    ("variables", "profiles", "role"),
    [
        ({"AWS_REGION": "cn-north-1", "AWS_DEFAULT_REGION": "eu-west-1"}, "", "cn-north-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, "[profile me]\nregion = eu-west-2\n", "eu-west-1"),
        ({}, "[profile me]\nregion = eu-west-2\n[default]\nregion = eu-west-3\n", "eu-west-2"),
        ({}, "[profile me]\noutput = json\n[default]\nregion = eu-west-3\n", "eu-west-3"),
    ],
    ids=["variable", "other variable", "profile", "default profile"],
)
def test_the_region_is_the_one_that_the_cdk_cli_uses(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], profiles: str, role: str
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    configure(monkeypatch, checkout, profiles)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    account = Scripted("me" if profiles else None)
    with Stubber(account.clients["ssm"]) as stub:
        stub.add_client_error("get_parameter", "ParameterNotFound")
        with pytest.raises(PreconditionError) as stopped:
            account.demand_bootstrap()
    assert f"arn:aws-cn:iam::{ACCOUNT}:role/cdk-hnb659fds-deploy-role-{ACCOUNT}-{role} (" in str(stopped.value)


@pytest.mark.parametrize("command", ["deploy", "bootstrap", "destroy"])
def test_without_a_region_that_is_named_nothing_is_deployed_to_the_one_that_the_cdk_cli_would_choose(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(
        PreconditionError, match=r"there are no valid AWS credentials .* AWS_PROFILE .* `make bootstrap`"
    ):
        check(command, [], checkout)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")
    with pytest.raises(PreconditionError, match=r"no region is named, .* set AWS_REGION"):
        check(command, [], checkout)


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


@pytest.mark.emulator
@pytest.mark.usefixtures("deployer")
def test_a_stack_that_is_not_there_is_not_called_destroyed(checkout: Path) -> None:
    check("destroy", [], checkout)
    (checkout / NAME).write_text('stack = "TaskSchedulerGone"\n')
    with pytest.raises(
        PreconditionError, match=f"there is no stack TaskSchedulerGone in account {ACCOUNT}, region {REGION}"
    ):
        check("destroy", [], checkout)


@pytest.mark.emulator
@pytest.mark.usefixtures("deployer")
def test_a_deployment_that_would_reset_settings_unasked_is_stopped(checkout: Path) -> None:
    """As from a new clone, whose deployment.toml is still on another machine."""
    (checkout / NAME).write_text("secret = false\n")
    with pytest.raises(PreconditionError) as stopped:
        check("deploy", [], checkout)
    head, *lines = str(stopped.value).splitlines()
    assert "would reset them to their defaults. Add each to deployment.toml" in head
    assert lines == [
        "  log_retention_days = 7",
        '  subscribers = ["someone@example.com", "https://hooks.example.com/ (path not shown)"]',
    ]


@pytest.mark.emulator
@pytest.mark.usefixtures("deployer")
def test_a_stack_without_a_record_is_not_deployed_over_until_somebody_gives_settings(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stacks.deployment_file.METADATA", "another record")
    with pytest.raises(PreconditionError, match="does not record the settings"):
        check("deploy", [], checkout)
    (checkout / NAME).write_text("")
    check("deploy", [], checkout)


@pytest.mark.emulator
@pytest.mark.usefixtures("deployer")
def test_the_advice_names_the_file_that_is_used(checkout: Path) -> None:
    (checkout / "deployment.staging.toml").write_text("secret = false\n")
    with pytest.raises(PreconditionError, match=r"Add each to deployment\.staging\.toml"):
        check("deploy", ["-c", "scheduler:file=deployment.staging.toml"], checkout)


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
    done = run(sys.executable, "-m", "stacks.preconditions", "deploy", "--require-approval=never", AWS_REGION=REGION)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Task Scheduler: there are no valid AWS credentials (")
    assert done.stderr.count("\n") == 1


def test_what_could_not_be_checked_is_said_and_the_command_goes_on() -> None:
    credentials = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    credentials["AWS_REGION"] = REGION
    done = run(sys.executable, "-m", "stacks.preconditions", "deploy", **credentials)
    assert done.returncode == 0
    assert done.stderr.startswith(
        "Task Scheduler: credentials, bootstrap and settings were not checked: Could not connect"
    )
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
    assert head == (
        "Task Scheduler: stack TaskScheduler, settings that differ from the defaults "
        "(no deployment.toml was read, overridden by the CDK context):"
    )
    assert rest[:2] == ["  production = true", '  subscribers = ["https://h.example/ (path not shown)"]']
