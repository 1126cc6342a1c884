"""Our stack and a bare one in the same emulator: how long a schedule takes, and how late the message goes out.

The bare one is a REST API, a function that only starts an execution, the same state machine, and a topic.
"""

import io
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

import httpx

from emulator.deployment import Deployment
from emulator.tools import REGION
from lab.chaos.aws.subscriber import Subscriber
from task_scheduler import timestamps

_AHEAD_MS: Final = 3_000  # far enough for the schedule to be over
_SETTLED_S: Final = 30
_WARM_UP: Final = 10
_STAGE: Final = "v1"
# No checks, no secret, no table. It writes a line as ours does: the emulator waits 50 ms for one that may yet come.
_HANDLER: Final = """
import json, os, uuid
import boto3
machine, client = os.environ["STATE_MACHINE_ARN"], boto3.client("stepfunctions")
def handler(event, _context):
    task_id, body = str(uuid.uuid4()), json.loads(event["body"])
    given = {"wait_until": body["timestamp"], "event": event["body"], "attributes": {}}
    client.start_execution(stateMachineArn=machine, name=task_id, input=json.dumps(given))
    print(task_id)
    return {"statusCode": 200, "body": json.dumps({"id": task_id})}
"""


@dataclass
class Side:
    """One of the two: its API, the queue behind its topic, and the runs so far."""

    url: str
    headers: Mapping[str, str]
    queue: Subscriber
    latencies: list[float] = field(default_factory=list)
    """Median milliseconds of a schedule, one for each run."""
    latenesses: list[float] = field(default_factory=list)
    """Median milliseconds from the second that a task is due until its message is in the queue, one for each run."""


def sides(deployment: Deployment) -> tuple[Side, Side]:
    """Return ours and the bare one."""
    topic: str = deployment.client("sns").create_topic(Name="bare")["TopicArn"]
    url = _bare_api(deployment.client("apigateway"), deployment.endpoint, _bare_function(deployment, topic))
    return (
        Side(f"{deployment.url}schedule", {"x-pd-secret": deployment.secret}, Subscriber(deployment, name="ours")),
        Side(f"{url}schedule", {}, Subscriber(deployment, topic, name="bare")),
    )


def _bare_function(deployment: Deployment, topic: str) -> str:
    """Make a copy of our state machine that publishes to another topic, and a function that starts it."""
    role = deployment.client("iam").create_role(RoleName="bare", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    states = deployment.client("stepfunctions")
    ours = states.describe_state_machine(stateMachineArn=deployment.outputs["StateMachineArn"])["definition"]
    definition = ours.replace(deployment.outputs["TopicArn"], topic)
    if definition == ours:
        raise RuntimeError("The state machine does not name the topic.")
    machine = states.create_state_machine(name="bare", definition=definition, roleArn=role)["stateMachineArn"]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("bare.py", _HANDLER)
    functions = deployment.client("lambda")
    arn: str = functions.create_function(
        FunctionName="bare",
        Runtime="python3.13",
        Role=role,
        Handler="bare.handler",
        Code={"ZipFile": archive.getvalue()},
        Timeout=20,
        MemorySize=512,
        Environment={"Variables": {"STATE_MACHINE_ARN": machine}},
    )["FunctionArn"]
    functions.add_permission(
        FunctionName="bare", StatementId="api", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com"
    )
    return arn


def _bare_api(client: Any, endpoint: str, function: str) -> str:  # noqa: ANN401 - a client of boto3
    api = client.create_rest_api(name="bare", endpointConfiguration={"types": ["REGIONAL"]})["id"]
    [root] = client.get_resources(restApiId=api)["items"]
    resource = client.create_resource(restApiId=api, parentId=root["id"], pathPart="schedule")["id"]
    place = {"restApiId": api, "resourceId": resource, "httpMethod": "POST"}
    client.put_method(**place, authorizationType="NONE")
    uri = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{function}/invocations"
    client.put_integration(**place, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)
    client.create_deployment(restApiId=api, stageName=_STAGE)
    return f"{endpoint}/_aws/execute-api/{api}/{_STAGE}/"


def run_once(both: tuple[Side, Side], calls: int) -> None:
    """Schedule so many tasks on each side, in turns, one after the other, and wait until all were emitted."""
    spent: list[list[float]] = [[], []]
    with httpx.Client(timeout=30, trust_env=False) as client:
        for _ in range(_WARM_UP + calls):
            for side, times in zip(both, spent, strict=True):
                times.append(_schedule(client, side))
    for side, times in zip(both, spent, strict=True):
        side.latencies.append(median(times[_WARM_UP:]))
        side.latenesses.append(median(_latenesses(side.queue, _WARM_UP + calls)[_WARM_UP:]))


def _schedule(client: httpx.Client, side: Side) -> float:
    """Schedule one task for a whole second, which is all that Step Functions knows; return the milliseconds."""
    due_ms = (time.time_ns() // 1_000_000 + _AHEAD_MS) // 1000 * 1000
    body = {"timestamp": timestamps.format(due_ms).replace(".000Z", "Z"), "message": due_ms}
    began = time.perf_counter()
    response = client.post(side.url, json=body, headers=side.headers)
    took = time.perf_counter() - began
    response.raise_for_status()
    return took * 1000


def _latenesses(queue: Subscriber, count: int) -> list[float]:
    """Wait for so many messages; return how late each came, those that were due first at the beginning."""
    found: list[tuple[int, float]] = []
    end = time.monotonic() + _SETTLED_S
    while len(found) < count:
        if time.monotonic() > end:
            raise RuntimeError(f"{count - len(found)} of {count} messages did not arrive.")
        found += [(body["message"], sent_ms - body["message"]) for body, sent_ms in queue.messages()]
    return [late for _, late in sorted(found)]
