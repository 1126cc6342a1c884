"""What there is in an account, and how late its services show it."""

from typing import Final

import emulator
from emulator.corrections.rules import Strictness

Names = dict[str, list[str]]

BEHIND_S: Final = 2 * Strictness().lag_s
"""How old the result of an eventually consistent read is at most, in seconds."""


def names_of(deployment: emulator.Deployment, stack: str = "TaskScheduler") -> Names:
    """Return the names of everything whose name begins with that of a stack, by kind."""
    client = deployment.client
    found = {
        "tables": client("dynamodb").list_tables()["TableNames"],
        "functions": [one["FunctionName"] for one in client("lambda").list_functions()["Functions"]],
        "machines": [one["name"] for one in client("stepfunctions").list_state_machines()["stateMachines"]],
        "topics": [one["TopicArn"].rpartition(":")[2] for one in client("sns").list_topics()["Topics"]],
        "queues": [one.rpartition("/")[2] for one in client("sqs").list_queues().get("QueueUrls", [])],
        "secrets": [one["Name"] for one in client("secretsmanager").list_secrets()["SecretList"]],
        "logs": [one["logGroupName"].rpartition("/")[2] for one in client("logs").describe_log_groups()["logGroups"]],
        "alarms": [one["AlarmName"] for one in client("cloudwatch").describe_alarms()["MetricAlarms"]],
        "rules": [one["Name"] for one in client("events").list_rules()["Rules"]],
        "roles": [one["RoleName"] for one in client("iam").list_roles()["Roles"]],
        "APIs": [one["name"] for one in client("apigateway").get_rest_apis()["items"]],
    }
    return {kind: [name for name in names if name.startswith(stack)] for kind, names in found.items()}
