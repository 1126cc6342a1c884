"""What the run takes hold of in a deployed stack: its functions' way to AWS, its sweeper, its queue."""

import json
from collections import Counter
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from emulator import Deployment

_REDELIVERY_S: Final = 35
"""After how long a message that was not recorded comes again: soon, but later than the recorder's time is over."""


class Stack:
    """A deployment in the emulator."""

    def __init__(self, deployment: Deployment) -> None:
        self._lambda = deployment.client("lambda")
        self._sqs = deployment.client("sqs")
        self._logs = deployment.client("logs")
        self._functions: list[dict[str, Any]] = self._lambda.list_functions()["Functions"]
        [mapping] = self._lambda.list_event_source_mappings()["EventSourceMappings"]
        name = mapping["EventSourceArn"].rpartition(":")[2]
        self._queue = self._sqs.get_queue_url(QueueName=name)["QueueUrl"]
        [self._sweeper] = [each for each in self._functions if "-SweeperFunction" in each["FunctionName"]]

    def divert(self, url: str) -> None:
        """Let the functions call AWS by this URL; all else stays as it is."""
        for function in self._functions:
            name = function["FunctionName"]
            variables = function["Environment"]["Variables"] | {"AWS_ENDPOINT_URL": url}
            self._lambda.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
            self._lambda.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})

    def redeliver_soon(self) -> None:
        """Hand out again soon what could not be recorded, so that this happens within the run."""
        self._sqs.set_queue_attributes(QueueUrl=self._queue, Attributes={"VisibilityTimeout": str(_REDELIVERY_S)})

    def sweep(self) -> str:
        """Sweep now, as the rule does every minute; return what went wrong, if anything."""
        try:
            answer = self._lambda.invoke(FunctionName=self._sweeper["FunctionName"], Payload=b"{}")
        except (BotoCoreError, ClientError) as error:
            return str(error)
        return answer["Payload"].read().decode() if "FunctionError" in answer else ""

    def unrecorded(self) -> int:
        """Return how many messages wait to be recorded, or are being recorded."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=names)["Attributes"]
        return sum(int(attributes[name]) for name in names)

    def swept(self) -> Counter[str]:
        """Return what the sweeper has counted, as it wrote that down for CloudWatch."""
        counts: Counter[str] = Counter()
        pages = self._logs.get_paginator("filter_log_events").paginate(
            logGroupName=self._sweeper["LoggingConfig"]["LogGroup"]
        )
        for page in pages:
            for line in page["events"]:
                counts.update(_metrics(line["message"]))
        return counts


def _metrics(line: str) -> Counter[str]:
    """Return the counts in a line of the embedded metric format; of any other line none."""
    if '"_aws"' not in line:
        return Counter()
    found = json.loads(line[line.index("{") :])
    names = [metric["Name"] for group in found["_aws"]["CloudWatchMetrics"] for metric in group["Metrics"]]
    values = {name: found[name] for name in names}
    return Counter({name: int(sum(value)) if isinstance(value, list) else int(value) for name, value in values.items()})
