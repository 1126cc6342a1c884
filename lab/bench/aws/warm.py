"""CPU of a warm POST /schedule with AWS answered in memory, beside a plain function that makes the same two calls.

`python -m lab.bench.aws.warm CALLS` measures once, in an interpreter of its own, and writes the two figures.
"""

import base64
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Final

from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.session import Session, get_session

from lab.bench.aws.function import SECRET, environment

_TURN: Final = 50  # calls of one before it is the turn of the other
_WARM_UP: Final = 200
_BODY: Final = {"in": "1h", "message": {"user": 42, "text": "Hello"}}
_CONFIG: Final = Config(retries={"mode": "standard", "total_max_attempts": 3})
_ANSWERS: Final = {
    "PutItem": {},
    "StartExecution": {"executionArn": "arn:aws:states:us-east-1:000000000000:execution:timer:1", "startDate": 1.0},
    "GetSecretValue": {"SecretString": SECRET},
}

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


def measure(*, quick: bool) -> tuple[float, float]:
    """Return the milliseconds of CPU that a call of ours takes, and one of the bare function."""
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", __name__, "200" if quick else "3000"],
        env=environment(),
        cwd=Path(__file__).resolve().parents[2],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    ours, bare = json.loads(done.stdout)
    return ours, bare


class _Raw:
    """A body as a connection of urllib3 has it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self._body


def _answer_in_memory(session: Session) -> None:
    """Answer the clients of a session in place of the network: all that botocore does before and after stays."""

    def answer(request: Any, event_name: str, **_: object) -> AWSResponse:  # noqa: ANN401 - botocore's own
        body = json.dumps(_ANSWERS[event_name.rpartition(".")[2]]).encode()
        headers = {"Content-Type": "application/x-amz-json-1.0", "x-amzn-RequestId": "1"}
        return AWSResponse(request.url, 200, headers, _Raw(body))  # type: ignore[arg-type]  # any mapping will do

    session.register("before-send", answer)  # type: ignore[arg-type]  # it is called with names, and its answer is used


def ours() -> Handler:
    """Return the handler of the function, its clients answered in memory."""
    from task_scheduler.aws import clients  # noqa: PLC0415 - the bootstrap has to be there first

    _answer_in_memory(clients._session)  # noqa: SLF001 - where all its clients come from
    from lambdas.api import handler  # noqa: PLC0415 - its clients are made now

    return handler


def bare() -> Handler:
    """Return a function that reads JSON, makes the same two calls with the same parameters, and answers JSON."""
    session = get_session()
    _answer_in_memory(session)
    dynamodb: Any = session.create_client("dynamodb", config=_CONFIG)
    stepfunctions: Any = session.create_client("stepfunctions", config=_CONFIG)
    table, machine = os.environ["TASKS_TABLE"], os.environ["STATE_MACHINE_ARN"]

    def handle(event: dict[str, Any], _context: object) -> dict[str, Any]:
        body = json.loads(base64.b64decode(event["body"]))
        task_id = str(uuid.uuid4())
        text = json.dumps(body)
        dynamodb.put_item(
            TableName=table,
            Item={
                "id": {"S": task_id},
                "state": {"S": "scheduled"},
                "due": {"N": "1795300000000"},
                "revision": {"N": "1"},
                "created": {"N": "1795300000000"},
                "event": {"S": text},
                "changed": {"N": "0"},
                "bucket": {"S": "scheduled#1"},
                "due_id": {"S": f"00063931100000#{task_id}"},
            },
            ConditionExpression="attribute_not_exists(id)",
        )
        given = json.dumps({"wait_until": "2026-12-01T09:00:00Z", "event": text, "attributes": {}})
        stepfunctions.start_execution(stateMachineArn=machine, name=f"{task_id}-1", input=given)
        return {"statusCode": 200, "body": json.dumps({"id": task_id})}

    return handle


def _event() -> dict[str, Any]:
    """Return the event of API Gateway with the headers that a client usually sends."""
    headers = {
        "Accept": "*/*",
        "Accept-Encoding": "gzip, deflate",
        "Content-Type": "application/json",
        "Host": "abcdefghij.execute-api.us-east-1.amazonaws.com",
        "User-Agent": "python-httpx/0.28.1",
        "X-Amzn-Trace-Id": "Root=1-00000000-000000000000000000000000",
        "X-Forwarded-For": "192.0.2.1",
        "x-pd-secret": SECRET,
    }
    return {
        "resource": "/{proxy+}",
        "path": "/schedule",
        "httpMethod": "POST",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"proxy": "schedule"},
        "requestContext": {"stage": "v1", "path": "/v1/schedule", "httpMethod": "POST"},
        "body": base64.b64encode(json.dumps(_BODY).encode()).decode(),
        "isBase64Encoded": True,
    }


def _cpu_ms(handler: Handler, count: int) -> float:
    event = _event()
    began = time.process_time()
    for _ in range(count):
        status = handler(event, None)["statusCode"]
        if status != 200:  # noqa: PLR2004 - else there was nothing to measure
            raise RuntimeError(f"A call was answered with {status}.")
    return (time.process_time() - began) * 1000


def main(calls: int) -> None:
    """Measure in turns; what the functions log goes nowhere, as it costs them the same."""
    handlers = [ours(), bare()]
    spent = [0.0, 0.0]
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        for handler in handlers:
            _cpu_ms(handler, _WARM_UP)
        for _ in range(calls // _TURN):
            for number, handler in enumerate(handlers):
                spent[number] += _cpu_ms(handler, _TURN)
    sys.stdout.write(json.dumps([each / calls for each in spent]))


if __name__ == "__main__":
    main(int(sys.argv[1]))
