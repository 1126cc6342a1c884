"""The sweeper: starts parked tasks and reconciles overdue ones, once a minute."""

from typing import Final

from aws_cdk import Acknowledgment, Duration, Validations
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from task_scheduler.cdk.python_function import FunctionDefaults, PythonFunction

_MAX_AGE: Final = Duration.minutes(1)  # the minimum of both services; the next invocation is due by then


class Sweeper(Construct):
    """A rule that invokes a function every minute."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        defaults: FunctionDefaults,
    ) -> None:
        super().__init__(scope, construct_id)
        self.function: Final = PythonFunction(
            self,
            "Function",
            defaults=defaults,
            handler="sweeper",
            description="Starts parked tasks and reconciles overdue ones",
            timeout_seconds=55,  # less than the minute between two runs
        )
        # By default EventBridge and Lambda retry an invocation for hours: after a shortage of execution
        # environments, all missed ones would run at once.
        self.function.configure_async_invoke(max_event_age=_MAX_AGE, retry_attempts=0)
        self.rule: Final = events.Rule(
            self,
            "EveryMinute",
            schedule=events.Schedule.rate(Duration.minutes(1)),
            targets=[targets.LambdaFunction(self.function, max_event_age=_MAX_AGE, retry_attempts=0)],
        )
        Validations.of(self).acknowledge(
            Acknowledgment(
                id="Serverless-EventBusDLQ",
                reason="The next minute's sweep does what one missed; an alarm tells of none",
            ),
            Acknowledgment(
                id="Serverless-LambdaAsyncFailureDestination",
                reason="The next minute's sweep does what one missed; there is nothing in an invocation to keep",
            ),
        )
