"""Checks, before anything is synthesized, whether a deployment can work, and whether it would reset a setting unasked.

`make deploy`, `make bootstrap` and `make destroy` run it. It stops only at what it knows to be wrong: where it cannot
ask, the CDK CLI goes on and says what fails.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

from stacks import deployment_file
from stacks.settings import SettingError

ROOT: Final = Path(__file__).resolve().parent.parent

# The role that `cdk bootstrap` makes for deployments, which may also read the version of the bootstrap and templates.
_DEPLOY_ROLE: Final = "cdk-{qualifier}-deploy-role-{account}-{region}"
_VERSION: Final = "/cdk-bootstrap/{qualifier}/version"
_QUALIFIER: Final = "@aws-cdk/core:bootstrapQualifier"
_DEFAULT_QUALIFIER: Final = "hnb659fds"

_CREDENTIALS_MISSING: Final = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
# How STS says that credentials are not valid, or not any more.
_CREDENTIALS_REJECTED: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)

# How STS and SSM say that the caller may not do something; a role that does not exist is denied, too.
_DENIALS: Final = frozenset({"AccessDenied", "AccessDeniedException", "NoSuchEntity"})

# One that does not answer must not delay a deployment for long.
_CONFIG: Final = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2})


class PreconditionError(RuntimeError):
    """The deployment would fail, or do what nobody asked for; the text is a sentence for the operator."""


class Account:
    """The account and region that the CDK CLI is going to use, as far as its arguments and the environment tell."""

    def __init__(self, profile: str | None, qualifier: str) -> None:
        """Read profiles and the environment; raises PreconditionError for a profile that does not exist."""
        self._qualifier: Final = qualifier
        configured = botocore.session.Session(profile=profile)
        try:
            self._session: Final = boto3.Session(botocore_session=configured)
        except ProfileNotFound as error:
            raise PreconditionError(_no_credentials(str(error))) from None
        # The CLI reads both variables and falls back to this region; boto3 knows one of them and no fallback.
        named = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        self.region: Final[str] = named or self._session.region_name or "us-east-1"
        self.uses_mfa: Final = "mfa_serial" in configured.get_scoped_config()

    @cached_property
    def identity(self) -> Mapping[str, str]:
        """`Account` and `Arn` of the caller; raises PreconditionError where there are no valid credentials."""
        try:
            found: Mapping[str, str] = self._client("sts").get_caller_identity()
        except _CREDENTIALS_MISSING as error:
            raise PreconditionError(_no_credentials(str(error))) from None
        except ClientError as error:
            if _code(error) in _CREDENTIALS_REJECTED:
                raise PreconditionError(_no_credentials(error.response["Error"]["Message"])) from None
            raise
        return found

    def demand_bootstrap(self) -> None:
        """Raise PreconditionError if `cdk bootstrap` has not run here, or the caller may not use what it made."""
        try:
            self._as_deployer("ssm").get_parameter(Name=_VERSION.format(qualifier=self._qualifier))
        except ClientError as error:
            if _code(error) in {"ParameterNotFound", *_DENIALS}:
                raise PreconditionError(
                    _not_bootstrapped(self.identity["Account"], self.region, self._deploy_role)
                ) from None
            raise

    def deployed_settings(self, stack: str) -> Mapping[str, Any]:
        """Return the settings of a stack that differ from their defaults; none if there is no such stack of ours."""
        try:
            template: Any = self._as_deployer("cloudformation").get_template(StackName=stack)["TemplateBody"]
        except ClientError as error:
            if _code(error) == "ValidationError":  # it does not exist
                return {}
            raise
        if not isinstance(template, dict):  # in YAML, so it is not ours
            return {}
        found: Mapping[str, Any] = json.loads(template.get("Metadata", {}).get(deployment_file.METADATA, "{}"))
        return found

    @property
    def _deploy_role(self) -> str:
        account, partition = self.identity["Account"], self.identity["Arn"].split(":")[1]
        name = _DEPLOY_ROLE.format(qualifier=self._qualifier, account=account, region=self.region)
        return f"arn:{partition}:iam::{account}:role/{name}"

    @cached_property
    def _deployer(self) -> Mapping[str, str]:
        """Credentials of the role for deployments, or none where the caller may not assume it.

        As with the CDK CLI: a user who deploys need not be allowed more than to assume the roles of the CDK.
        """
        try:
            found = self._client("sts").assume_role(RoleArn=self._deploy_role, RoleSessionName="task-scheduler-deploy")
        except ClientError as error:
            if _code(error) in _DENIALS:
                return {}
            raise
        credentials = found["Credentials"]
        return {
            "aws_access_key_id": credentials["AccessKeyId"],
            "aws_secret_access_key": credentials["SecretAccessKey"],
            "aws_session_token": credentials["SessionToken"],
        }

    def _as_deployer(self, service: str) -> Any:  # noqa: ANN401 - each service has a client of its own
        return self._client(service, **self._deployer)

    def _client(self, service: str, **credentials: str) -> Any:  # noqa: ANN401 - the same
        return self._session.client(service, region_name=self.region, config=_CONFIG, **credentials)  # type: ignore[call-overload]  # the name is not a literal


def check(command: str, arguments: Sequence[str], folder: Path = ROOT) -> None:
    """Check what a command of the CDK CLI needs; raises PreconditionError and SettingError."""
    given = _parse(arguments)
    context = {**_context(folder), **dict(one.split("=", 1) for one in given.context if "=" in one)}
    read = deployment_file.read(context, folder)
    try:
        account = Account(given.profile, str(context.get(_QUALIFIER, _DEFAULT_QUALIFIER)))
        if account.uses_mfa:  # only the CLI shall ask for a code, which is good for one request
            return
        account.identity  # noqa: B018 - to ask is to check
        if command != "deploy":
            return
        account.demand_bootstrap()
        reset = dict(_reset(account.deployed_settings(read.settings.stack), read))
    except (BotoCoreError, ClientError):
        return
    if reset:
        raise PreconditionError(_would_reset(read.settings.stack, reset))


def _reset(deployed: Mapping[str, Any], read: deployment_file.GivenSettings) -> Iterator[tuple[str, Any]]:
    """Yield what a stack has and the next deployment would reset, though neither file nor context speak of it."""
    for name, value in deployed.items():
        if hasattr(read.settings, name) and name not in read.given and name != "stack":
            yield name, value


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read what matters here of the arguments of the CDK CLI."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-c", "--context", action="append", default=[])
    parser.add_argument("--profile")
    return parser.parse_known_args(arguments)[0]


def _context(folder: Path) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads((folder / "cdk.json").read_text()).get("context", {})
    return found


def _no_credentials(reason: str) -> str:
    return (
        f"there are no valid AWS credentials ({reason.rstrip('.')}): set AWS_PROFILE and AWS_REGION until "
        "`aws sts get-caller-identity` answers, and prepare a new account or region once with `make bootstrap`."
    )


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def _not_bootstrapped(account: str, region: str, role: str) -> str:
    return (
        f"account {account} is not prepared for the CDK in {region}, or you may not assume {role}: run "
        "`make bootstrap` once, as an administrator, or choose another account or region by AWS_PROFILE and "
        "AWS_REGION; `aws sts get-caller-identity` shows who you are."
    )


def _would_reset(stack: str, reset: Mapping[str, Any]) -> str:
    kept = "".join(f"\n  {line}" for line in deployment_file.lines(reset))
    return (
        f"stack {stack} is deployed with settings that {deployment_file.NAME} does not have here, and this deployment "
        f"would reset them to their defaults. Add each to {deployment_file.NAME}, as it is or with another value:{kept}"
    )


def main(arguments: Sequence[str]) -> None:
    """Check a command, and end with a sentence where it cannot work."""
    command, *rest = arguments
    try:
        check(command, rest)
    except (PreconditionError, SettingError) as error:
        sys.exit(f"Task Scheduler: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main(sys.argv[1:])
