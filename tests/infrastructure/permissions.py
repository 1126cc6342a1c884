"""Every permission of every role with what needs it: the operations that break without it, or AWS itself."""

from collections.abc import Mapping
from typing import Final

TASKS: Final = "<Registry/Tasks.Arn>"
BY_DUE: Final = "<Registry/Tasks.Arn>/index/by_due"
EVENTS: Final = "<EventLog/Events.Arn>"
MACHINE: Final = "<Timer/StateMachine>"
EXECUTIONS: Final = "arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:execution:<AWS::StackName>-timer:*"
QUEUE: Final = "<Recorder/Events.Arn>"
SECRET: Final = "<Secret/Value>"  # noqa: S105 - the name of a resource
TOPIC: Final = "<Delivery/Topic>"

API: Final = "Api/FunctionRole"
STREAM: Final = "Api/StreamRole"
RECORDER: Final = "Recorder/FunctionRole"
SWEEPER: Final = "Sweeper/FunctionRole"
TIMER: Final = "Timer/StateMachine/Role"

Call = tuple[str, str]
"""An action, and what it may be done to, as Synthesis.text writes it."""

# What Lambda and Step Functions do themselves with the role that they are given. The emulator does the same things
# without asking the role: here stands where AWS says that it asks.
LAMBDA_LOGS: Final = "https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSLambdaBasicExecutionRole.html"
LAMBDA_QUEUE: Final = "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-lambda-function-trigger.html"
MACHINE_LOGS: Final = "https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html"

SCHEDULES: Final = frozenset({"schedule", "schedule with tags", "start the timer", "repeat a request"})
STOPS: Final = frozenset({"cancel", "cancel before the timer has started"})
CHANGES: Final = frozenset({"reschedule", "reschedule with tags", "start the next timer"})
CANCELS: Final = STOPS | {"cancel what is parked", "cancel at the last moment"}
LATE: Final = frozenset({"refuse to cancel what is published"})
LOOKS: Final = frozenset({"show"})
LISTS: Final = frozenset({"list"})
PAGES: Final = frozenset({"read the next events", "read the last events", "follow the stream"})
SKIPS: Final = frozenset({"skip a number that is never used"})
SWEEPS: Final = frozenset({"arm", "start what is missing", "rearm", "record for the recorder", "give up"})


# What is not tried, as a function does it once a minute or in trouble only.
CHECKPOINT: Final = "EventLog._make_checkpoint: once a minute"
BOOKMARK: Final = "Registry.bookmark: where a sweep is interrupted"


def own_log(role: str) -> dict[Call, str]:
    """Return what a function needs so that Lambda can write its log, into a group that is there already."""
    group = f"<{role.removesuffix('Role')}Logs.Arn>"
    return {("logs:CreateLogStream", group): LAMBDA_LOGS, ("logs:PutLogEvents", group): LAMBDA_LOGS}


NEEDED_BY: Final[Mapping[str, Mapping[Call, frozenset[str] | str]]] = {
    API: {
        ("dynamodb:GetItem", TASKS): LOOKS | CANCELS | LATE | CHANGES | {"repeat a request"},
        ("dynamodb:PutItem", TASKS): SCHEDULES | {"reschedule with tags"},
        ("dynamodb:UpdateItem", TASKS): CANCELS | CHANGES,
        ("dynamodb:BatchGetItem", TASKS): LISTS,
        ("dynamodb:Query", BY_DUE): LISTS,
        # Without it a task is parked, and so accepted all the same.
        ("states:StartExecution", MACHINE): frozenset(
            {"start the timer", "start the next timer", "cancel before the timer has started"}
        ),
        ("states:StopExecution", EXECUTIONS): STOPS | CHANGES,
        ("states:GetExecutionHistory", EXECUTIONS): LATE | {"cancel at the last moment"},
        ("secretsmanager:GetSecretValue", SECRET): SCHEDULES | CANCELS | CHANGES | LATE | LOOKS | LISTS,
        **own_log(API),
    },
    STREAM: {
        ("dynamodb:GetItem", EVENTS): PAGES | SKIPS,
        ("dynamodb:Query", EVENTS): PAGES | SKIPS,
        ("dynamodb:PutItem", EVENTS): SKIPS,
        ("dynamodb:BatchGetItem", TASKS): PAGES,
        ("secretsmanager:GetSecretValue", SECRET): PAGES | SKIPS,
        **own_log(STREAM),
    },
    RECORDER: {
        # Without it the recording is attempted, and finds out by itself, but it has used up a sequence number.
        ("dynamodb:GetItem", TASKS): frozenset({"pass over what is recorded"}),
        ("dynamodb:UpdateItem", TASKS): frozenset({"record"}),
        ("dynamodb:GetItem", EVENTS): CHECKPOINT,
        ("dynamodb:Query", EVENTS): CHECKPOINT,
        ("dynamodb:PutItem", EVENTS): frozenset({"record"}),
        ("dynamodb:UpdateItem", EVENTS): frozenset({"record"}),
        ("sqs:ReceiveMessage", QUEUE): LAMBDA_QUEUE,
        ("sqs:DeleteMessage", QUEUE): LAMBDA_QUEUE,
        ("sqs:GetQueueAttributes", QUEUE): LAMBDA_QUEUE,
        **own_log(RECORDER),
    },
    SWEEPER: {
        ("dynamodb:Query", BY_DUE): SWEEPS,
        ("dynamodb:BatchGetItem", TASKS): SWEEPS,
        ("dynamodb:UpdateItem", TASKS): SWEEPS - {"start what is missing"},
        ("dynamodb:GetItem", TASKS): BOOKMARK,
        ("dynamodb:PutItem", TASKS): BOOKMARK,
        ("dynamodb:GetItem", EVENTS): CHECKPOINT,
        ("dynamodb:Query", EVENTS): CHECKPOINT,
        ("dynamodb:PutItem", EVENTS): frozenset({"record for the recorder"}),
        ("dynamodb:UpdateItem", EVENTS): frozenset({"record for the recorder"}),
        ("states:StartExecution", MACHINE): frozenset({"arm", "start what is missing", "rearm"}),
        ("states:DescribeExecution", EXECUTIONS): SWEEPS - {"arm"},
        ("states:GetExecutionHistory", EXECUTIONS): frozenset({"rearm"}),
        **own_log(SWEEPER),
    },
    TIMER: {
        ("sns:Publish", TOPIC): frozenset({"publish"}),
        # No service lets log delivery be narrower.
        ("logs:CreateLogDelivery", "*"): MACHINE_LOGS,
        ("logs:GetLogDelivery", "*"): MACHINE_LOGS,
        ("logs:UpdateLogDelivery", "*"): MACHINE_LOGS,
        ("logs:DeleteLogDelivery", "*"): MACHINE_LOGS,
        ("logs:ListLogDeliveries", "*"): MACHINE_LOGS,
        ("logs:PutResourcePolicy", "*"): MACHINE_LOGS,
        ("logs:DescribeResourcePolicies", "*"): MACHINE_LOGS,
        ("logs:DescribeLogGroups", "*"): MACHINE_LOGS,
    },
}
