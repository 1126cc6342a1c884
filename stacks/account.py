"""The AWS account that a deployment goes to: who asks, whether it is bootstrapped, and what is deployed already."""

import json
import os
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    LoginError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

from stacks import deployment_file

# The role that `cdk bootstrap` makes for deployments, which may also read the version of the bootstrap and templates.
_DEPLOY_ROLE: Final = "cdk-{qualifier}-deploy-role-{account}-{region}"
_VERSION: Final = "/cdk-bootstrap/{qualifier}/version"

_CREDENTIALS_MISSING: Final = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    LoginError,
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

# Its creation has failed or not begun, so it holds nothing.
_NEVER_CREATED: Final = frozenset({"REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"})

# One that does not respond must not delay a deployment for long.
_CONFIG: Final = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2})


class PreconditionError(RuntimeError):
    """The deployment would fail, or do what was not requested; the text is a sentence for the operator."""


class UnrecordedError(RuntimeError):
    """A stack does not say which settings it was deployed with."""


class UncheckedError(RuntimeError):
    """Nothing can be said about the deployment; the text is the reason."""


class Account:
    """The account and region that the CDK CLI is going to use, as far as its arguments and the environment tell."""

    def __init__(self, profile: str | None, qualifier: str, region: str | None = None) -> None:
        """Read profiles and the environment.

        Raises PreconditionError for a profile that does not exist and where no region is named, and UncheckedError
        where only the CLI may ask.
        """
        self._qualifier: Final = qualifier
        configured = botocore.session.Session(profile=profile)
        try:
            self._session: Final = boto3.Session(botocore_session=configured)
        except ProfileNotFound as error:
            raise PreconditionError(_no_credentials(str(error))) from None
        profiles = configured.full_config.get("profiles", {})
        if _uses_mfa(profiles, self._session.profile_name):
            raise UncheckedError("the profile uses MFA, and a code is good for one request")
        region = region or _region(profiles, self._session.profile_name)
        if region is None:
            if self._session.get_credentials() is None:  # that is the first thing to set up
                raise PreconditionError(_no_credentials(str(NoCredentialsError())))
            raise PreconditionError(
                "no region is named, so the CDK CLI would choose one: set AWS_REGION to that of the deployment."
            )
        self._region: Final = region

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
                    _not_bootstrapped(self.identity["Account"], self._region, self._deploy_role)
                ) from None
            raise

    def demand_stack(self, stack: str) -> None:
        """Raise PreconditionError if there is no such stack: the CDK CLI would call it destroyed."""
        if self._status(stack) is None:
            raise PreconditionError(
                f"there is no stack {stack} in account {self.identity['Account']}, region {self._region}."
            )

    def deployed_settings(self, stack: str) -> Mapping[str, Any] | None:
        """Return the settings of a stack that differ from their defaults; None if there is no such stack.

        Raises UnrecordedError for one that does not record them.
        """
        if self._status(stack) in {None, *_NEVER_CREATED}:
            return None
        template: Any = self._as_deployer("cloudformation").get_template(StackName=stack)["TemplateBody"]
        try:
            settings: Mapping[str, Any] = json.loads(template["Metadata"][deployment_file.METADATA])
        except (KeyError, TypeError, ValueError):
            raise UnrecordedError from None
        return settings

    def _status(self, stack: str) -> str | None:
        """Return the status of a stack, None if there is none."""
        try:
            [found] = self._as_deployer("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        except ClientError as error:
            if _code(error) == "ValidationError":  # it does not exist
                return None
            raise
        status: str = found["StackStatus"]
        return status

    @property
    def _deploy_role(self) -> str:
        account, partition = self.identity["Account"], self.identity["Arn"].split(":")[1]
        name = _DEPLOY_ROLE.format(qualifier=self._qualifier, account=account, region=self._region)
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
        return self._session.client(service, region_name=self._region, config=_CONFIG, **credentials)  # type: ignore[call-overload]  # the name is not a literal


def _uses_mfa(profiles: Mapping[str, Any], name: str) -> bool:
    """Tell whether a profile, or one that it takes its credentials from, asks for a code."""
    seen = set()
    while name in profiles and name not in seen:
        seen.add(name)
        if "mfa_serial" in profiles[name]:
            return True
        name = profiles[name].get("source_profile", "")
    return False


def _region(profiles: Mapping[str, Any], name: str) -> str | None:
    """Return the region as the CDK CLI finds it, None where it would ask the machine it runs on, or take us-east-1."""
    for variable in ("AWS_REGION", "AMAZON_REGION", "AWS_DEFAULT_REGION", "AMAZON_DEFAULT_REGION"):
        if region := os.environ.get(variable):
            return region
    for profile in (name, "default"):
        if region := profiles.get(profile, {}).get("region"):
            return str(region)
    return None


def _no_credentials(reason: str) -> str:
    return (
        f"there are no valid AWS credentials ({reason.rstrip('.')}): set AWS_PROFILE and AWS_REGION until "
        "`aws sts get-caller-identity` responds, and prepare a new account or region once with `make bootstrap`."
    )


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def _not_bootstrapped(account: str, region: str, role: str) -> str:
    return (
        f"account {account} is not prepared for the CDK in {region}, or you may not assume {role} (CdkRoles in "
        "iam-policy.json allows it): run "
        "`make bootstrap` once, as an administrator, or choose another account or region by AWS_PROFILE and "
        "AWS_REGION; `aws sts get-caller-identity` shows who you are."
    )
