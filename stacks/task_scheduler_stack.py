"""The architecture diagram as code: the boxes, which of them calls which, and what the stack records and prints."""

import json
from hashlib import sha256
from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_sns as sns
from constructs import Construct

from stacks.deployment_file import METADATA
from stacks.settings import Settings
from task_scheduler.cdk.api import Api
from task_scheduler.cdk.dashboard import Dashboard
from task_scheduler.cdk.event_log import EventLogTable
from task_scheduler.cdk.events_topic import EventsTopic
from task_scheduler.cdk.monitoring import Monitoring
from task_scheduler.cdk.python_function import FunctionDefaults, engine_environment, function_code
from task_scheduler.cdk.recorder import Recorder
from task_scheduler.cdk.secret import ApiSecret
from task_scheduler.cdk.state_machine import ExecutionStateMachine
from task_scheduler.cdk.subscribers import Subscribers
from task_scheduler.cdk.sweeper import Sweeper
from task_scheduler.cdk.task_table import TaskTable


class TaskSchedulerStack(cdk.Stack):
    """client -> api -> tasks, state machine -> topic -> your subscribers, recorder -> event log -> client.

    The construct ids are part of the names of deployed resources: a new id replaces the resource.
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings) -> None:
        super().__init__(scope, construct_id, description="Task Scheduler: emits each message at its time")
        tasks = TaskTable(self, "Registry", production=settings.production, keep=settings.keep_tables)
        events = EventLogTable(self, "EventLog", production=settings.production, keep=settings.keep_tables)
        topic = EventsTopic(self, "Delivery").topic
        timer = ExecutionStateMachine(self, "Timer", topic=topic, log_retention_days=settings.log_retention_days)
        secret = ApiSecret(self, "Secret") if settings.secret else None

        defaults = FunctionDefaults(
            code=function_code(),
            environment=engine_environment(
                tasks=tasks.table,
                events=events.table,
                machine=timer.machine,
                secret=secret.secret if secret else None,
                arming_window_days=settings.arming_window_days,
                task_retention_days=settings.task_retention_days,
                event_retention_days=settings.event_retention_days,
            ),
            log_retention_days=settings.log_retention_days,
        )
        api = Api(
            self,
            "Api",
            name=settings.stack,
            defaults=defaults,
            requests_per_second=settings.requests_per_second,
            request_burst=settings.request_burst,
            stream_listeners=settings.stream_listeners,
            stream_reserved_concurrency=settings.stream_reserved_concurrency,
        )
        recorder = Recorder(
            self, "Recorder", defaults=defaults, topic=topic, max_concurrency=settings.recorder_concurrency
        )
        sweeper = Sweeper(self, "Sweeper", defaults=defaults)

        for function in (api.function, sweeper.function):
            tasks.grant_read_write(function)
            timer.grant_start(function)
        timer.grant_stop(api.function)
        timer.grant_inspect(sweeper.function)
        events.grant_read(api.stream)
        tasks.grant_read_payloads(api.stream)
        tasks.grant_update(recorder.function)
        for writer in (recorder.function, sweeper.function):  # the sweeper records what the recorder could not
            events.grant_append(writer)
            # An upgrade replaces the readers before the writers, whose new kinds of rows the old readers do not know.
            writer.node.add_dependency(api.stream)
        if secret:
            for function in (api.function, api.stream):
                secret.grant_read(function)

        dead_letters = {"NotRecorded": recorder.dead_letters}
        if settings.subscribers:
            subscribers = Subscribers(self, "Subscribers", topic=topic, endpoints=settings.subscribers)
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

        self._record(settings, topic)
        self._acknowledge()
        self._output("ApiUrl", api.rest.url, "The URL of the API")
        self._output("TopicArn", topic.topic_arn, "Subscribe here to what is emitted")
        self._output("StateMachineArn", timer.machine.state_machine_arn, "One execution for each waiting task")
        if secret:
            self._output("SecretArn", secret.secret.secret_arn, "What to send as x-pd-secret")
        else:
            cdk.Annotations.of(self).add_warning_v2(
                "task-scheduler:no-secret",
                f"Without a secret, anyone who knows the URL of {settings.stack} may schedule and cancel.",
            )

    def _record(self, settings: Settings, topic: sns.Topic) -> None:
        """Store the settings in the template, where the next deployment finds which of them it would reset.

        CloudFormation updates no stack for a change of that section alone, but for one of a resource's metadata:
        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/metadata-section-structure.html
        https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ResourceChange.html
        """
        record = json.dumps(settings.changed())
        self.template_options.metadata = {METADATA: record}
        cast("cdk.CfnResource", topic.node.default_child).add_metadata(METADATA, sha256(record.encode()).hexdigest())

    def _acknowledge(self) -> None:
        cdk.Validations.of(self).acknowledge(
            cdk.Acknowledgment(
                id="AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>"
                ":execution:<AWS::StackName>-timer:*]",
                reason="The executions of this one machine; each is named after its task",
            )
        )

    def _output(self, name: str, value: str, description: str) -> None:
        cdk.CfnOutput(self, name, value=value, description=description)
