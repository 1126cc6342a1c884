"""What the Lambda functions share: runtime, code, variables and logging."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import aws_cdk as cdk
import jsii
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from task_scheduler.aws import schema
from task_scheduler.cdk.bundle import ROOT, bundle, packages
from task_scheduler.cdk.service_metric import SERVICE

RUNTIME: Final = lambda_.Runtime.PYTHON_3_13


@jsii.implements(cdk.ILocalBundling)
class _Bundler:
    """The CDK calls it instead of the Docker image that it requires; once, also for several stacks."""

    def try_bundle(self, output_dir: str, *_options: object, **_image: object) -> bool:
        bundle(Path(output_dir))
        return True


def function_code() -> lambda_.Code:
    """Bundle the code of all functions into one asset, identified by the hash of its content.

    Raises BundleError here and not in the callback of the CDK, where jsii would replace it by an error of its own.
    """
    packages()
    return lambda_.Code.from_asset(
        str(ROOT),
        asset_hash_type=cdk.AssetHashType.OUTPUT,
        bundling=cdk.BundlingOptions(image=cdk.DockerImage.from_registry("never-pulled"), local=_Bundler()),
    )


@dataclass(frozen=True, kw_only=True)
class FunctionDefaults:
    """The properties that all functions of a stack share."""

    code: lambda_.Code
    environment: Mapping[str, str]
    log_retention_days: int


def engine_environment(  # noqa: PLR0913 - keyword-only, and each is a variable
    *,
    tasks: dynamodb.ITable,
    events: dynamodb.ITable,
    machine: sfn.IStateMachine,
    secret: secretsmanager.ISecret | None,
    arming_window_days: float,
    task_retention_days: int,
    event_retention_days: int,
) -> dict[str, str]:
    """Return the variables that every function reads at its start. They name the resources and grant nothing.

    Without a secret the API accepts every request.
    """
    environment = {
        schema.TASKS_TABLE: tasks.table_name,
        schema.EVENTS_TABLE: events.table_name,
        schema.STATE_MACHINE_ARN: machine.state_machine_arn,
        schema.ARMING_WINDOW_DAYS: str(arming_window_days),
        schema.TASK_RETENTION_DAYS: str(task_retention_days),
        schema.EVENT_RETENTION_DAYS: str(event_retention_days),
    }
    return environment | ({schema.SECRET_ARN: secret.secret_arn} if secret else {})


class PythonFunction(lambda_.Function):
    """A function with its own role and log group. At first the role may write to that log group only."""

    def __init__(  # noqa: PLR0913 - keyword-only, and each is needed by each function
        self,
        scope: Construct,
        construct_id: str,
        *,
        defaults: FunctionDefaults,
        handler: str,
        description: str,
        timeout_seconds: int,
        memory_mib: int = 512,
        reserved_concurrency: int | None = None,
    ) -> None:
        log_group = log_group_of(scope, f"{construct_id}Logs", retention_days=defaults.log_retention_days)
        role = iam.Role(scope, f"{construct_id}Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        log_group.grant_write(role)
        super().__init__(
            scope,
            construct_id,
            code=defaults.code,
            handler=f"lambdas.{handler}.handler",
            description=description,
            runtime=RUNTIME,
            architecture=lambda_.Architecture.ARM_64,
            memory_size=memory_mib,
            timeout=cdk.Duration.seconds(timeout_seconds),
            reserved_concurrent_executions=reserved_concurrency,
            role=role,
            log_group=log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            environment={
                "POWERTOOLS_SERVICE_NAME": SERVICE,
                "POWERTOOLS_METRICS_NAMESPACE": cdk.Aws.STACK_NAME,
                "POWERTOOLS_LOG_LEVEL": "INFO",
                **defaults.environment,
            },
        )
        cdk.Validations.of(self).acknowledge(
            cdk.Acknowledgment(id="AwsSolutions-L1", reason="A new runtime comes when all tests have passed on it"),
            cdk.Acknowledgment(
                id="Serverless-LambdaLatestVersion", reason="A new runtime comes when all tests have passed on it"
            ),
            cdk.Acknowledgment(id="Serverless-LambdaTracing", reason="Traces are paid for; the logs name each task"),
            cdk.Acknowledgment(
                id="Serverless-LambdaDLQ",
                reason="Callers wait for the API, the recorder's queue keeps what failed, the next sweep sees it all",
            ),
        )


def log_group_of(scope: Construct, construct_id: str, *, retention_days: int, name: str | None = None) -> logs.LogGroup:
    """Define a log group that is deleted with the stack."""
    log_group = logs.LogGroup(scope, construct_id, log_group_name=name, removal_policy=cdk.RemovalPolicy.DESTROY)
    cast("logs.CfnLogGroup", log_group.node.default_child).retention_in_days = retention_days
    return log_group
