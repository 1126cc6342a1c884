"""Checks, before anything is synthesized, whether a deployment can work, and whether it would reset a setting unasked.

`make deploy`, `make bootstrap` and `make destroy` run it. It stops only at what it knows to be wrong. Where it cannot
ask, it says so, and the CDK CLI goes on.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from stacks import deployment_file
from stacks.account import Account, PreconditionError, UncheckedError, UnrecordedError
from stacks.settings import SettingError

ROOT: Final = Path(__file__).resolve().parent.parent
_QUALIFIER: Final = "@aws-cdk/core:bootstrapQualifier"
_DEFAULT_QUALIFIER: Final = "hnb659fds"
_NO_APPROVAL: Final = frozenset({"never", "destructive"})
"""The values of --require-approval with which the CLI does not ask before a first deployment."""

_CANNOT_ASK: Final = (
    "the CDK CLI asks for approval of the permissions of a new stack, which it cannot do without a terminal: "
    "use `make deploy ARGS=--require-approval=never`."
)


@dataclass(frozen=True)
class _Configuration:
    """What the CDK CLI finds in its arguments, variables and files."""

    context: Mapping[str, Any]
    profile: str | None
    region: str | None
    asks: bool
    """Whether it asks for approval before it makes new permissions."""


def check(command: str, arguments: Sequence[str], folder: Path = ROOT, *, terminal: bool = True) -> None:
    """Check what a command of the CDK CLI needs; `terminal` tells whether it can ask the operator.

    Raises PreconditionError and SettingError for what is wrong, UncheckedError where that cannot be known.
    """
    given = _configuration(arguments, folder)
    read = deployment_file.read(given.context, folder)
    try:
        account = Account(given.profile, str(given.context.get(_QUALIFIER, _DEFAULT_QUALIFIER)), given.region)
        account.identity  # noqa: B018 - to ask is to check
        if command == "destroy":
            account.demand_stack(read.settings.stack)
        if command != "deploy":
            return
        account.demand_bootstrap()
        deployed = account.deployed_settings(read.settings.stack)
        if deployed is None and given.asks and not terminal:
            raise PreconditionError(_CANNOT_ASK)
        reset = dict(_reset(deployed or {}, read))
    except UnrecordedError:
        if read.file is None and not read.given:
            raise PreconditionError(_unrecorded(read.settings.stack)) from None
        return  # somebody has said what the settings are to be
    except (BotoCoreError, ClientError, ValueError) as error:
        raise UncheckedError(str(error)) from error
    if reset:
        raise PreconditionError(_would_reset(read, reset))


def _reset(deployed: Mapping[str, Any], read: deployment_file.GivenSettings) -> Iterator[tuple[str, Any]]:
    """Yield what a stack has and the next deployment would reset, though neither file nor context speak of it."""
    for name, value in deployed.items():
        if hasattr(read.settings, name) and name not in read.given:
            yield name, value


def _configuration(arguments: Sequence[str], folder: Path) -> _Configuration:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-c", "--context", action="append")
    parser.add_argument("--profile", default=os.environ.get("CDK_PROFILE"))
    parser.add_argument("--region", default=os.environ.get("CDK_REGION"))
    parser.add_argument("--require-approval", default=os.environ.get("CDK_REQUIRE_APPROVAL"))
    parser.add_argument("-y", "--yes", action="store_true")
    given = parser.parse_known_args(arguments)[0]
    project, user = (_json(file) for file in (folder / "cdk.json", Path.home() / ".cdk.json"))
    # The CLI takes the variable as one assignment, and only where the arguments have none.
    assignments = given.context or [os.environ.get("CDK_CONTEXT", "")]
    context = {
        **(user.get("context") or {}),
        **_json(folder / "cdk.context.json"),
        **(project.get("context") or {}),
        **dict(one.split("=", 1) for one in assignments if "=" in one),
    }
    approval = given.require_approval or project.get("requireApproval") or user.get("requireApproval")
    return _Configuration(
        context,
        given.profile or project.get("profile") or user.get("profile"),
        given.region or project.get("region") or user.get("region"),
        asks=not given.yes and approval not in _NO_APPROVAL,
    )


def _json(file: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # most are not there, and the CLI says what is wrong with one that is
        return {}
    return found if isinstance(found, dict) else {}


def _would_reset(read: deployment_file.GivenSettings, reset: Mapping[str, Any]) -> str:
    stack, file = read.settings.stack, read.file or deployment_file.NAME
    kept = "".join(f"\n  {line}" for line in deployment_file.lines(reset))
    return (
        f"stack {stack} is deployed with settings that {file} does not have here, and this deployment would reset them "
        f"to their defaults. Add each to {file}, as it is or with another value, which may be the default "
        f"(`aws cloudformation get-template --stack-name {stack} --query TemplateBody.Metadata` shows URLs whole):"
        f"{kept}"
    )


def _unrecorded(stack: str) -> str:
    return (
        f"stack {stack} does not record the settings that it was deployed with, so this deployment could reset them: "
        f"write them into {deployment_file.NAME}; an empty one accepts all defaults."
    )


def main(arguments: Sequence[str]) -> None:
    """Check a command, and end with a sentence where it cannot work."""
    command, *rest = arguments
    if os.environ.get("AWS_PROFILE"):
        os.environ.pop("AWS_DEFAULT_PROFILE", None)  # which botocore would prefer, and the CLI does not
    try:
        check(command, rest, terminal=sys.stdout.isatty())
    except (PreconditionError, SettingError) as error:
        sys.exit(f"Task Scheduler: {error}")
    except UncheckedError as error:
        sys.stderr.write(f"Task Scheduler: credentials, bootstrap and settings were not checked: {error}.\n")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main(sys.argv[1:])
