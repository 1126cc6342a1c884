"""The architecture diagram as code: the boxes, who may call whom, and what a deployment says of itself."""

import json
from hashlib import sha256
from typing import cast

import aws_cdk as cdk
from constructs import Construct

from stacks.deployment_file import METADATA
from stacks.settings import Settings
from task_scheduler.aws import schema
from task_scheduler.cdk.api import Api
from task_scheduler.cdk.dashboard import Dashboard
from task_scheduler.cdk.event_log import EventLog
from task_scheduler.cdk.events_topic import Delivery
from task_scheduler.cdk.monitoring import Monitoring
from task_scheduler.cdk.python_function import Shared, function_code
from task_scheduler.cdk.recorder import Recorder
from task_scheduler.cdk.secret import Secret
from task_scheduler.cdk.state_machine import Timer
from task_scheduler.cdk.subscribers import Subscribers
from task_scheduler.cdk.sweeper import Sweeper
from task_scheduler.cdk.task_table import Registry


class TaskSchedulerStack(cdk.Stack):
    """client -> api -> registry, timer -> topic -> your subscribers, recorder -> event log -> client."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings) -> None:
        super().__init__(scope, construct_id, description="Task Scheduler: emits each message at its time")
        # By this the next deployment notices which settings it would reset.
        record = json.dumps(settings.changed())
        self.template_options.metadata = {METADATA: record}

        registry = Registry(self, "Registry", settings=settings)
        event_log = EventLog(self, "EventLog", settings=settings)
        delivery = Delivery(self, "Delivery")
        # CloudFormation updates no stack for a change of that section alone, but for one of a resource's metadata:
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/metadata-section-structure.html
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ResourceChange.html
        topic = cast("cdk.CfnResource", delivery.topic.node.default_child)
        topic.add_metadata(METADATA, sha256(record.encode()).hexdigest())
        timer = Timer(self, "Timer", topic=delivery.topic, settings=settings)
        secret = Secret(self, "Secret") if settings.secret else None

        environment = {
            schema.TASKS_TABLE: registry.table_name,
            schema.EVENTS_TABLE: event_log.table_name,
            schema.STATE_MACHINE_ARN: timer.state_machine_arn,
            schema.ARMING_WINDOW_DAYS: str(settings.arming_window_days),
            schema.TASK_RETENTION_DAYS: str(settings.task_retention_days),
            schema.EVENT_RETENTION_DAYS: str(settings.event_retention_days),
        }
        if secret:
            environment[schema.SECRET_ARN] = secret.secret_arn
        # The same for all: to know a name is not to be allowed to use it.
        shared = Shared(function_code(), environment, settings.log_retention_days)
        api = Api(self, "Api", shared=shared, settings=settings)
        recorder = Recorder(self, "Recorder", shared=shared, settings=settings, topic=delivery.topic)
        sweeper = Sweeper(self, "Sweeper", shared=shared)
        dead_letters = {"NotRecorded": recorder.dead_letters}
        if settings.subscribers:
            subscribers = Subscribers(self, "Subscribers", topic=delivery.topic, endpoints=settings.subscribers)
            dead_letters["NotDelivered"] = subscribers.dead_letters
        monitoring = Monitoring(
            self,
            "Monitoring",
            dead_letters=dead_letters,
            rest_api=api.rest,
            functions={"Api": api.function, "Recorder": recorder.function},
            email=settings.alarm_email,
        )
        if settings.dashboard:
            Dashboard(
                self,
                "Dashboard",
                alarms=monitoring.alarms,
                rest_api=api.rest,
                machine=timer.machine,
                functions={
                    "api": api.function,
                    "stream": api.stream,
                    "recorder": recorder.function,
                    "sweeper": sweeper.function,
                },
                events=recorder.events,
            )

        for reader in (api.function, sweeper.function):
            reader.may("dynamodb:Query", on=registry.by_due_arn)
            reader.may("dynamodb:BatchGetItem", on=registry.table_arn)
        api.function.may("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", on=registry.table_arn)
        api.function.may("states:StartExecution", on=timer.state_machine_arn)
        api.function.may("states:StopExecution", "states:GetExecutionHistory", on=timer.execution_arns)
        # It seals sequence numbers that are missing.
        api.stream.may("dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", on=event_log.table_arn)
        api.stream.may("dynamodb:BatchGetItem", on=registry.table_arn)  # the text of large events is with their tasks

        sweeper.function.may("states:StartExecution", on=timer.state_machine_arn)
        sweeper.function.may("states:DescribeExecution", "states:GetExecutionHistory", on=timer.execution_arns)
        sweeper.function.may("dynamodb:GetItem", "dynamodb:PutItem", on=registry.table_arn)
        recorder.function.may("dynamodb:GetItem", on=registry.table_arn)
        for writer in (recorder.function, sweeper.function):  # the sweeper records what the recorder could not
            writer.may("dynamodb:UpdateItem", on=registry.table_arn)
            writer.may(
                "dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem", on=event_log.table_arn
            )
            # In an upgrade, readers are replaced before those who write what the old readers do not know.
            writer.node.add_dependency(api.stream)

        cdk.CfnOutput(self, "ApiUrl", value=api.url, description="Where the API answers")
        cdk.CfnOutput(self, "TopicArn", value=delivery.topic.topic_arn, description="Subscribe here to what is emitted")
        cdk.CfnOutput(
            self,
            "StateMachineArn",
            value=timer.state_machine_arn,
            description="One execution for each waiting task",
        )
        if secret:
            for function in (api.function, api.stream):
                function.may("secretsmanager:GetSecretValue", on=secret.secret_arn)
            cdk.CfnOutput(self, "SecretArn", value=secret.secret_arn, description="What to send as x-pd-secret")
        else:
            cdk.Annotations.of(self).add_warning_v2(
                "task-scheduler:no-secret",
                f"Without a secret, anyone who knows the URL of {settings.stack} may schedule and cancel.",
            )
