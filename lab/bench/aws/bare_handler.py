"""The function of the bare stack: it starts an execution of the same two states, and does nothing else."""

import json
import os
import sys
import uuid
from typing import Any

import boto3

machine = os.environ["STATE_MACHINE_ARN"]
client = boto3.client("stepfunctions")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Start the execution that waits and publishes: no checks, no secret, no table."""
    body = json.loads(event["body"])
    task_id = str(uuid.uuid4())
    given = {"wait_until": body["timestamp"], "event": event["body"], "attributes": {}}
    client.start_execution(stateMachineArn=machine, name=task_id, input=json.dumps(given))
    sys.stdout.write(f"{task_id}\n")  # ours writes a line, too: the emulator waits 50 ms for one that may yet come
    return {"statusCode": 200, "body": json.dumps({"id": task_id})}
