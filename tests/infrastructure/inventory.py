"""What there is in an account, and how late its services show it."""

from collections.abc import Iterator
from typing import Any, Final, Protocol

from emulator.rules import Strictness

Names = dict[str, list[str]]

BEHIND_S: Final = 2 * Strictness().lag_s
"""How old the result of an eventually consistent read is at most, in seconds."""


class Account(Protocol):
    """An account in one region: that of an emulator, or a real one."""

    def client(self, service: str) -> Any:  # noqa: ANN401 - each service has a client of its own
        """Return a boto3 client."""


# Of each kind: the service, the call that lists it, where its answer has the list, and what of an entry is the name.
_LISTS: Final = {
    "tables": ("dynamodb", "list_tables", "TableNames", ""),
    "functions": ("lambda", "list_functions", "Functions", "FunctionName"),
    "machines": ("stepfunctions", "list_state_machines", "stateMachines", "name"),
    "topics": ("sns", "list_topics", "Topics", "TopicArn"),
    "queues": ("sqs", "list_queues", "QueueUrls", ""),
    "secrets": ("secretsmanager", "list_secrets", "SecretList", "Name"),
    "logs": ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    "alarms": ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    "rules": ("events", "list_rules", "Rules", "Name"),
    "roles": ("iam", "list_roles", "Roles", "RoleName"),
    "APIs": ("apigateway", "get_rest_apis", "items", "name"),
}


def names_of(account: Account, stack: str = "TaskScheduler") -> Names:
    """Return the names of everything whose name begins with that of a stack, by kind."""
    return {kind: [name for name in _names(account, kind) if name.startswith(stack)] for kind in _LISTS}


def _names(account: Account, kind: str) -> Iterator[str]:
    """Yield all names of a kind: the end of an ARN, a URL or a path."""
    service, call, entries, name = _LISTS[kind]
    for page in account.client(service).get_paginator(call).paginate():
        for entry in page.get(entries, ()):
            yield str(entry[name] if name else entry).rpartition("/")[2].rpartition(":")[2]
