"""The state machine: one execution for each task, which waits until the task is due and publishes its message."""

from typing import Final

from aws_cdk import Acknowledgment, Aws, Duration, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from task_scheduler.aws import schema
from task_scheduler.cdk.python_function import log_group_of


class ExecutionStateMachine(Construct):
    """Two states, as each transition is paid for; in JSONPath, which moves the message as the text it is.

    A publish that fails is retried after 1, 2, 4 ... seconds, then every 5 minutes, each pause shortened
    at random so that a crowd of tasks due at once spreads out: a throttled second costs seconds, an outage of
    hours loses nothing. Whatever the error: a refused permission, too, may be fixed meanwhile. After about 4
    hours the execution fails, and the sweeper finds its task.
    """

    def __init__(self, scope: Construct, construct_id: str, *, topic: sns.ITopic, log_retention_days: int) -> None:
        super().__init__(scope, construct_id)
        wait = sfn.Wait(self, schema.WAIT_UNTIL_DUE, time=sfn.WaitTime.timestamp_path(f"$.{schema.WAIT_UNTIL}"))
        # Not tasks.SnsPublish, which needs the names of the attributes at synthesis: tags can have any name.
        publish = sfn.CustomState(
            self,
            schema.PUBLISH_MESSAGE,
            state_json={
                "Type": "Task",
                "Resource": f"arn:{Aws.PARTITION}:states:::sns:publish",
                "Parameters": {
                    "TopicArn": topic.topic_arn,
                    "Message.$": f"$.{schema.EVENT}",
                    "MessageAttributes.$": f"$.{schema.ATTRIBUTES}",
                },
            },
        )
        publish.add_retry(
            errors=[sfn.Errors.ALL],
            interval=Duration.seconds(1),
            backoff_rate=2,
            max_delay=Duration.minutes(5),
            max_attempts=100,
            jitter_strategy=sfn.JitterType.FULL,
        )
        name = f"{Aws.STACK_NAME}-timer"
        machine = sfn.StateMachine(
            self,
            "StateMachine",
            state_machine_name=name,
            definition_body=sfn.DefinitionBody.from_chainable(wait.next(publish)),
            logs=sfn.LogOptions(
                # With this prefix, log groups share one line in the account's resource policy, whose size is limited:
                # https://docs.aws.amazon.com/step-functions/latest/dg/bp-cwl.html
                destination=log_group_of(
                    self,
                    "Logs",
                    name=f"/aws/vendedlogs/states/{name}",
                    retention_days=log_retention_days,
                ),
                level=sfn.LogLevel.ERROR,
                include_execution_data=False,
            ),
        )
        topic.grant_publish(machine)
        self.machine: Final = machine
        self._executions: Final = f"arn:{Aws.PARTITION}:states:{Aws.REGION}:{Aws.ACCOUNT_ID}:execution:{name}:*"
        Validations.of(machine).acknowledge(
            Acknowledgment(id="AwsSolutions-SF1", reason="All events would be a copy of every task; errors are enough"),
            Acknowledgment(id="AwsSolutions-SF2", reason="Traces end long before a wait does, and are paid for"),
            Acknowledgment(
                id="Serverless-StepFunctionStateMachineXray",
                reason="Traces end long before a wait does, and are paid for",
            ),
            Acknowledgment(id="AwsSolutions-IAM5[Resource::*]", reason="Log delivery has no narrower resource"),
        )

    def grant_start(self, grantee: iam.IGrantable) -> None:
        """Allow to start executions."""
        self.machine.grant_start_execution(grantee)

    def grant_stop(self, grantee: iam.IGrantable) -> None:
        """Allow to stop executions, and to find out whether one has published before it was stopped."""
        self._grant(grantee, "states:StopExecution", "states:GetExecutionHistory")

    def grant_inspect(self, grantee: iam.IGrantable) -> None:
        """Allow to find out how executions ended."""
        self._grant(grantee, "states:DescribeExecution", "states:GetExecutionHistory")

    def _grant(self, grantee: iam.IGrantable, *actions: str) -> None:
        """Grant what `machine.grant_execution` would, with the ARN that the templates of deployed stacks have."""
        iam.Grant.add_to_principal(grantee=grantee, actions=[*actions], resource_arns=[self._executions])
