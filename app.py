"""Reads the settings and builds the stack; makes no AWS call and needs no network."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
INSTALL = (
    "create an environment for it with `python3 -m venv .venv`, activate it with `. .venv/bin/activate`, "
    "and install `pip install --require-hashes -r requirements/deploy.txt`"
)

if sys.version_info < (3, 11):  # noqa: UP036 - a Python that is too old shall say so, and not fail at an import
    sys.exit(f"Task Scheduler: needs Python 3.11 or newer, and this is {sys.version.partition(' ')[0]}.")
try:
    import aws_cdk as cdk

    from stacks import deployment_file
    from stacks.settings import SettingError
    from stacks.task_scheduler_stack import TaskSchedulerStack
    from task_scheduler.cdk.bundle import BundleError
except ModuleNotFoundError as error:
    if error.name not in {"aws_cdk", "constructs"}:
        raise
    sys.exit(f"Task Scheduler: {sys.executable} has no aws-cdk-lib; {INSTALL}. `make deploy` does all of it by itself.")


def main() -> None:
    """Build the stack with the settings of deployment.toml and of the context."""
    _warn_without_credentials()
    # Analytics would put a resource into the template that says which constructs it was made of.
    app = cdk.App(analytics_reporting=False)
    try:
        given = deployment_file.read(app.node.get_all_context(), ROOT)
    except SettingError as error:
        sys.exit(f"Task Scheduler: {error}")
    _say("\n".join([_summary(given), *(f"  {line}" for line in deployment_file.lines(given.settings.changed()))]))
    try:
        TaskSchedulerStack(app, given.settings.stack, settings=given.settings)
    except BundleError as error:
        sys.exit(f"Task Scheduler: {error} Please {INSTALL}.")
    app.synth()


def _summary(given: deployment_file.GivenSettings) -> str:
    where = f"from {given.file}" if given.file else f"no {deployment_file.NAME} was read"
    where += ", overridden by the CDK context" if given.overridden else ""
    if given.settings.changed():
        return f"stack {given.settings.stack}, settings that differ from the defaults ({where}):"
    return f"stack {given.settings.stack}, all settings have their defaults ({where})."


def _warn_without_credentials() -> None:
    """Tell who wants to deploy, before anything is built; to synthesize takes no credentials.

    The CDK CLI tells the app which account its credentials belong to, but not whether it will deploy.
    """
    if "CDK_OUTDIR" in os.environ and "CDK_DEFAULT_ACCOUNT" not in os.environ:
        _say(
            "there are no valid AWS credentials, so this can be synthesized but not deployed: set AWS_PROFILE and "
            "AWS_REGION until `aws sts get-caller-identity` responds, and prepare a new account or region once with "
            "`make bootstrap` (or `cdk bootstrap`)."
        )


def _say(text: str) -> None:
    print(f"Task Scheduler: {text}", file=sys.stderr)  # noqa: T201 - the CDK CLI shows what an app writes there


if __name__ == "__main__":
    main()
