"""That the emulator rejects what AWS rejects, and does what AWS does only at times: a test for each correction."""

import io
import json
import time
import uuid
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

import boto3
import botocore.exceptions
import httpx
import pytest
from botocore.config import Config
from ministack.services import eventbridge as ministack_events  # type: ignore[import-untyped]  # it has no types

from emulator import Emulator
from emulator.corrections.eventbridge import invoke_twice
from emulator.process import HOST
from emulator.rules import Every, Lag, Quota, Strictness, TokenBucket
from emulator.tools import ACCOUNT, REGION
from tests.support.clock import eventually

ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/any"
STRICT: Final = {
    "EMULATOR_QUOTAS": "ListStateMachines=2/0.1",
    "EMULATOR_LAG_S": "1.5",
    "EMULATOR_DELAY_S": "1.5",
    "LAMBDA_ACCOUNT_CONCURRENCY": "2",
}
"""Lags that a slow machine does not miss, and quotas that a test reaches."""

SETTLED_S: Final = 3
"""After that, everything that was written can be read."""
IDLE_S: Final = 3.2
"""After that, an idle connection is lost."""


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator with nothing deployed into it."""
    emulator = Emulator(tmp_path_factory.mktemp("strict"), environment=STRICT)
    try:
        yield emulator.start()
    finally:
        emulator.stop()


def client(emulator: Emulator, service: str) -> Any:  # noqa: ANN401 - each service has a client of its own
    """Return the client that the emulator keeps: to make one takes as long as some lags."""
    return emulator.client(service)


def once(emulator: Emulator, service: str) -> Any:  # noqa: ANN401 - each service has a client of its own
    """Return a client that tries once."""
    return boto3.client(  # type: ignore[call-overload]  # the name is not a literal
        service,
        endpoint_url=emulator.endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - the emulator takes any
        region_name=REGION,
        config=Config(retries={"total_max_attempts": 1}),
    )


def machine(emulator: Emulator, *states: dict[str, Any]) -> str:
    """Create a state machine of these states, and return its ARN."""
    names = [f"State{number}" for number in range(len(states))]
    chained = [
        state | ({"End": True} if name == names[-1] else {"Next": f"State{number + 1}"})
        for number, (name, state) in enumerate(zip(names, states, strict=True))
    ]
    definition = {"StartAt": names[0], "States": dict(zip(names, chained, strict=True))}
    created = client(emulator, "stepfunctions").create_state_machine(
        name=f"machine-{uuid.uuid4()}", definition=json.dumps(definition), roleArn=ROLE
    )
    return str(created["stateMachineArn"])


WAIT: Final = {"Type": "Wait", "TimestampPath": "$.at"}
PASS: Final = {"Type": "Pass"}
NEVER: Final = json.dumps({"at": "2099-01-01T00:00:00Z"})


def rejected(code: str) -> Any:  # noqa: ANN401 - what pytest.raises returns
    """Expect an error with this code."""
    return pytest.raises(botocore.exceptions.ClientError, match=rf"\({code}\)")


# Rules


def test_every_third_call_with_a_key_counts() -> None:
    third = Every(3)
    assert [third("a") for _ in range(6)] == [False, False, True] * 2
    assert third("b") is False
    assert not any(Every(0)() for _ in range(5))


def test_a_lag_is_between_once_and_twice_the_least() -> None:
    lag = Lag(1.5)
    lags = [lag() for _ in range(100)]
    assert min(lags) >= 1.5
    assert max(lags) <= lag.most == 3
    assert len(set(lags)) > 50


def test_a_token_bucket_has_a_burst_and_a_rate() -> None:
    now = [0.0]
    bucket = TokenBucket(Quota(burst=3, rate=2), clock=lambda: now[0])
    assert [bucket.take() for _ in range(5)] == [True, True, True, False, False]
    now[0] = 1
    assert [bucket.take() for _ in range(3)] == [True, True, False]


def test_strictness_is_read_from_the_environment() -> None:
    assert Strictness.of({}) == Strictness()
    given = {"EMULATOR_LAG_S": "0", "EMULATOR_DELAY_EVERY": "2", "EMULATOR_QUOTAS": "A=1/2,B=3/0.5"}
    expected = Strictness(lag_s=0, delay_every=2, quotas={"A": Quota(1, 2), "B": Quota(3, 0.5)})
    assert Strictness.of(given) == expected


# Step Functions


@pytest.mark.emulator
def test_the_same_start_of_a_running_execution_returns_it_and_any_other_is_rejected(strict: Emulator) -> None:
    steps, arn = client(strict, "stepfunctions"), machine(strict, WAIT)
    first = steps.start_execution(stateMachineArn=arn, name="once", input=NEVER)
    second = steps.start_execution(stateMachineArn=arn, name="once", input=NEVER)
    assert second["executionArn"] == first["executionArn"]
    assert second["startDate"] == first["startDate"]
    with rejected("ExecutionAlreadyExists"):
        steps.start_execution(stateMachineArn=arn, name="once", input=NEVER + " ")
    steps.stop_execution(executionArn=first["executionArn"])
    with rejected("ExecutionAlreadyExists"):
        steps.start_execution(stateMachineArn=arn, name="once", input=NEVER)


@pytest.mark.emulator
def test_execution_names_stay_used_after_a_restart(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path)
    try:
        emulator.start()
        arn = machine(emulator, PASS)
        client(emulator, "stepfunctions").start_execution(stateMachineArn=arn, name="once")
        emulator.restart()
        with rejected("ExecutionAlreadyExists"):
            client(emulator, "stepfunctions").start_execution(stateMachineArn=arn, name="once")
    finally:
        emulator.stop()


@pytest.mark.emulator
@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"name": "a" * 81}, "ValidationException"),
        ({"name": "a b"}, "InvalidName"),
        ({"name": "a/b"}, "InvalidName"),
        ({"name": "a[b"}, "InvalidName"),
        ({"name": "a\\b"}, "InvalidName"),
        ({"name": "a\x7fb"}, "InvalidName"),
        ({"input": json.dumps("ä" * 131_072, ensure_ascii=False)}, "ValidationException"),
        ({"input": "{"}, "InvalidExecutionInput"),
    ],
    ids=["long name", "space", "slash", "bracket", "backslash", "control character", "long input", "no JSON"],
)
def test_a_start_with_an_invalid_name_or_input_is_rejected(strict: Emulator, given: dict[str, str], code: str) -> None:
    steps = client(strict, "stepfunctions")
    with rejected(code):
        steps.start_execution(stateMachineArn=machine(strict, PASS), **given)


@pytest.mark.emulator
def test_a_start_with_the_longest_name_and_input_is_accepted(strict: Emulator) -> None:
    steps = client(strict, "stepfunctions")
    longest = json.dumps("ä" * 131_071, ensure_ascii=False)
    assert steps.start_execution(stateMachineArn=machine(strict, PASS), name="Az_-." * 16, input=longest)


def outcome(emulator: Emulator, execution: str) -> dict[str, Any]:
    """Wait until an execution is known to have ended, and return its description."""
    steps = client(emulator, "stepfunctions")

    def ended() -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = steps.describe_execution(executionArn=execution)
        except steps.exceptions.ExecutionDoesNotExist:
            return None
        return None if found["status"] == "RUNNING" else found

    return eventually(ended, within=20, every=0.2)


@pytest.mark.emulator
@pytest.mark.parametrize(
    "timestamp",
    ["2020-08-21t04:29:00Z", "2020-08-21T04:29:00z", "2020-08-21T04:29:00", "2020-08-21", "2020-13-21T04:29:00Z", 0],
)
def test_a_wait_for_no_timestamp_fails_the_execution_after_an_accepted_start(
    strict: Emulator, timestamp: object
) -> None:
    steps, arn = client(strict, "stepfunctions"), machine(strict, WAIT)
    started = steps.start_execution(stateMachineArn=arn, input=json.dumps({"at": timestamp}))
    ended = outcome(strict, started["executionArn"])
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")


@pytest.mark.emulator
def test_a_wait_drops_the_milliseconds_of_its_timestamp(strict: Emulator) -> None:
    steps, arn = client(strict, "stepfunctions"), machine(strict, WAIT)
    second = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    at = second.isoformat().replace("+00:00", ".999Z")
    started = steps.start_execution(stateMachineArn=arn, input=json.dumps({"at": at}))
    ended = outcome(strict, started["executionArn"])
    assert timedelta() <= ended["stopDate"] - second < timedelta(seconds=0.9)


@pytest.mark.emulator
def test_stopping_a_finished_execution_has_two_answers_and_no_effect(strict: Emulator) -> None:
    steps, arn = client(strict, "stepfunctions"), machine(strict, PASS)
    execution = steps.start_execution(stateMachineArn=arn)["executionArn"]
    ended = outcome(strict, execution)
    answers = []
    for _ in range(4):
        try:
            answers.append(steps.stop_execution(executionArn=execution)["stopDate"])
        except steps.exceptions.ClientError as error:
            answers.append(error.response["Error"]["Code"])
    assert answers in (
        [ended["stopDate"], "ValidationException"] * 2,
        ["ValidationException", ended["stopDate"]] * 2,
    )
    assert outcome(strict, execution)["status"] == "SUCCEEDED"


@pytest.mark.emulator
def test_a_stopped_execution_never_changes(strict: Emulator) -> None:
    steps = client(strict, "stepfunctions")
    at = (datetime.now(UTC) + timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    arn = machine(strict, WAIT, {"Type": "Fail"})
    execution = steps.start_execution(stateMachineArn=arn, input=json.dumps({"at": at}))["executionArn"]
    eventually(lambda: len(steps.get_execution_history(executionArn=execution)["events"]) == 2)
    steps.stop_execution(executionArn=execution)
    before = steps.get_execution_history(executionArn=execution)["events"]
    time.sleep(2.5)
    assert steps.get_execution_history(executionArn=execution)["events"] == before
    assert outcome(strict, execution)["status"] == "ABORTED"


@pytest.mark.emulator
def test_an_execution_is_described_a_moment_late(strict: Emulator) -> None:
    steps, arn = client(strict, "stepfunctions"), machine(strict, WAIT)
    execution = steps.start_execution(stateMachineArn=arn, input=NEVER)["executionArn"]
    with pytest.raises(steps.exceptions.ExecutionDoesNotExist):
        steps.describe_execution(executionArn=execution)
    time.sleep(SETTLED_S)
    assert steps.describe_execution(executionArn=execution)["status"] == "RUNNING"
    steps.stop_execution(executionArn=execution, error="given")
    late = steps.describe_execution(executionArn=execution)
    assert late["status"] == "RUNNING"
    assert not {"stopDate", "error"} & late.keys()
    time.sleep(SETTLED_S)
    now = steps.describe_execution(executionArn=execution)
    assert (now["status"], now["error"]) == ("ABORTED", "given")


@pytest.mark.emulator
def test_requests_beyond_a_quota_are_throttled(strict: Emulator) -> None:
    steps = once(strict, "stepfunctions")
    for _ in range(2):
        steps.list_state_machines()
    with pytest.raises(botocore.exceptions.ClientError) as throttled:
        steps.list_state_machines()
    assert throttled.value.response["Error"] == {"Code": "ThrottlingException", "Message": "Rate exceeded"}
    assert throttled.value.response["ResponseMetadata"]["HTTPStatusCode"] == httpx.codes.BAD_REQUEST


# DynamoDB


@pytest.fixture
def table(strict: Emulator) -> str:
    """A table of items with `id`, and `state` and `due` in the index `by-state`."""
    name = f"table-{uuid.uuid4()}"
    client(strict, "dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": one, "AttributeType": "S"} for one in ("id", "state", "due")],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-state",
                "KeySchema": [
                    {"AttributeName": "state", "KeyType": "HASH"},
                    {"AttributeName": "due", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    return name


def item(identity: str, state: str) -> dict[str, Any]:
    return {"id": {"S": identity}, "state": {"S": state}, "due": {"S": identity}}


def listed(emulator: Emulator, table: str, state: str, **more: Any) -> Any:  # noqa: ANN401 - a response
    """Query the index for a state."""
    return client(emulator, "dynamodb").query(
        TableName=table,
        IndexName="by-state",
        KeyConditionExpression="#state = :state",
        ExpressionAttributeNames={"#state": "state"},
        ExpressionAttributeValues={":state": {"S": state}},
        **more,
    )


def ids(response: Any) -> list[str]:  # noqa: ANN401 - a response
    return [found["id"]["S"] for found in response["Items"]]


@pytest.mark.emulator
def test_an_index_shows_the_table_as_it_was_a_moment_ago(strict: Emulator, table: str) -> None:
    tables = client(strict, "dynamodb")
    for identity in ("changed", "deleted", "kept"):
        tables.put_item(TableName=table, Item=item(identity, "open"))
    assert ids(listed(strict, table, "open")) == []
    time.sleep(SETTLED_S)
    assert ids(listed(strict, table, "open")) == ["changed", "deleted", "kept"]
    tables.put_item(TableName=table, Item=item("added", "open"))
    tables.put_item(TableName=table, Item=item("changed", "closed"))
    tables.delete_item(TableName=table, Key={"id": {"S": "deleted"}})
    assert ids(listed(strict, table, "open")) == ["changed", "deleted", "kept"]
    assert listed(strict, table, "open", Select="COUNT")["Count"] == 3
    assert ids(listed(strict, table, "closed")) == []
    time.sleep(SETTLED_S)
    assert ids(listed(strict, table, "open")) == ["added", "kept"]
    assert listed(strict, table, "closed", Select="COUNT")["Count"] == 1


@pytest.mark.emulator
def test_an_index_shows_what_a_transaction_wrote_later_too(strict: Emulator, table: str) -> None:
    tables = client(strict, "dynamodb")
    tables.transact_write_items(TransactItems=[{"Put": {"TableName": table, "Item": item("new", "open")}}])
    assert ids(listed(strict, table, "open")) == []
    time.sleep(SETTLED_S)
    assert ids(listed(strict, table, "open")) == ["new"]


@pytest.mark.emulator
def test_consistent_reads_of_a_table_are_exact_and_others_late(strict: Emulator, table: str) -> None:
    tables, key = client(strict, "dynamodb"), {"id": {"S": "new"}}
    tables.put_item(TableName=table, Item=item("new", "open"))
    query = {"TableName": table, "KeyConditionExpression": "id = :id", "ExpressionAttributeValues": {":id": key["id"]}}

    def found(**consistency: bool) -> list[bool]:
        got = tables.batch_get_item(RequestItems={table: {"Keys": [key], **consistency}})
        return [
            "Item" in tables.get_item(TableName=table, Key=key, **consistency),
            bool(got["Responses"][table]),
            bool(tables.query(**query, **consistency)["Items"]),
            bool(tables.scan(TableName=table, **consistency)["Items"]),
        ]

    assert found(ConsistentRead=True) == [True] * 4
    assert found() == [False] * 4
    time.sleep(SETTLED_S)
    assert found() == [True] * 4


@pytest.mark.emulator
def test_a_consistent_read_of_an_index_is_rejected(strict: Emulator, table: str) -> None:
    with rejected("ValidationException"):
        listed(strict, table, "open", ConsistentRead=True)


@pytest.mark.emulator
def test_an_item_of_more_than_400_kib_is_rejected(strict: Emulator, table: str) -> None:
    tables, body = client(strict, "dynamodb"), {"S": "a" * 409_600}
    with rejected("ValidationException"):
        tables.put_item(TableName=table, Item=item("large", "open") | {"body": body})
    with rejected("ValidationException"):
        tables.update_item(
            TableName=table,
            Key={"id": {"S": "large"}},
            UpdateExpression="SET body = :body",
            ExpressionAttributeValues={":body": body},
        )


@pytest.mark.emulator
@pytest.mark.parametrize("identities", [map(str, range(101)), ["same", "same"]], ids=["101 items", "an item twice"])
def test_a_transaction_of_too_many_items_or_the_same_twice_is_rejected(
    strict: Emulator, table: str, identities: Iterable[str]
) -> None:
    puts = [{"Put": {"TableName": table, "Item": item(identity, "open")}} for identity in identities]
    with rejected("ValidationException"):
        client(strict, "dynamodb").transact_write_items(TransactItems=puts)


# SNS and SQS


@pytest.fixture
def subscription(strict: Emulator) -> tuple[str, str]:
    """A topic, and the URL of the queue that gets its raw messages."""
    name = f"t-{uuid.uuid4()}"
    topic = client(strict, "sns").create_topic(Name=name)["TopicArn"]
    queues = client(strict, "sqs")
    queue = queues.create_queue(QueueName=name)["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    queues.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    client(strict, "sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"}
    )
    return topic, queue


def received(emulator: Emulator, queue: str, *, seconds: float) -> list[str]:
    """Return the bodies of all messages that can be received in this time, in order."""
    queues, deadline = client(emulator, "sqs"), time.monotonic() + seconds
    bodies: list[str] = []
    while time.monotonic() < deadline:
        for message in queues.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            queues.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            bodies.append(message["Body"])
        time.sleep(0.05)
    return bodies


@pytest.mark.emulator
def test_every_fifth_message_is_overtaken_and_every_seventh_repeated(
    strict: Emulator, subscription: tuple[str, str]
) -> None:
    topic, queue = subscription
    for number in range(1, 9):
        client(strict, "sns").publish(TopicArn=topic, Message=str(number))
    assert received(strict, queue, seconds=4) == ["1", "2", "3", "4", "6", "7", "8", "5", "7"]


STRING: Final = {"DataType": "String", "StringValue": "a"}


@pytest.mark.emulator
@pytest.mark.parametrize(
    ("message", "attributes", "code"),
    [
        ("", {}, "InvalidParameter"),
        ("a" * 262_144, {"n": STRING}, "InvalidParameter"),
        ("a", {"n": {"DataType": "String", "StringValue": ""}}, "ParameterValueInvalid"),
        ("a", {"n": {"DataType": "Text", "StringValue": "a"}}, "ParameterValueInvalid"),
        ("a", {"n n": STRING}, "ParameterValueInvalid"),
        ("a", {".n": STRING}, "ParameterValueInvalid"),
        ("a", {"n..n": STRING}, "ParameterValueInvalid"),
        ("a", {"AWS.n": STRING}, "ParameterValueInvalid"),
        ("a", {"n" * 257: STRING}, "ParameterValueInvalid"),
    ],
    ids=["empty", "too large", "empty value", "unknown type", "space", "dot", "two dots", "reserved", "long name"],
)
def test_an_invalid_message_is_not_published(
    strict: Emulator, subscription: tuple[str, str], message: str, attributes: dict[str, Any], code: str
) -> None:
    with rejected(code):
        client(strict, "sns").publish(TopicArn=subscription[0], Message=message, MessageAttributes=attributes)


@pytest.mark.emulator
def test_a_raw_message_that_a_queue_rejects_is_discarded(strict: Emulator, subscription: tuple[str, str]) -> None:
    topic, queue = subscription
    topics = client(strict, "sns")
    ten = {f"n{number}": STRING for number in range(10)}
    topics.publish(TopicArn=topic, Message="eleven", MessageAttributes=ten | {"n": STRING})
    topics.publish(TopicArn=topic, Message="\ufffe")
    topics.publish(TopicArn=topic, Message="ten", MessageAttributes=ten)
    assert received(strict, queue, seconds=0.5) == ["ten"]


@pytest.mark.emulator
def test_a_message_with_a_forbidden_character_is_not_sent(strict: Emulator, subscription: tuple[str, str]) -> None:
    with rejected("InvalidMessageContents"):
        client(strict, "sqs").send_message(QueueUrl=subscription[1], MessageBody="\ufffe")


# EventBridge


def test_every_second_scheduled_event_is_sent_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: Counter[str] = Counter()
    monkeypatch.setattr(ministack_events, "_invoke_target", lambda _target, event, _rule: sent.update([event["Id"]]))
    invoke_twice(Every(2))
    for kind in ("Scheduled Event", "another"):
        for number in range(4):
            event = {"DetailType": kind, "Id": f"{kind} {number}"}
            ministack_events._invoke_target({}, event, {"Arn": "rule"})  # noqa: SLF001 - what it calls for a rule
    assert [event for event, times in sent.items() if times == 2] == ["Scheduled Event 1", "Scheduled Event 3"]
    assert len(sent) == 8


# Lambda and API Gateway


@pytest.fixture(scope="module")
def function(strict: Emulator) -> str:
    """A function that takes as many seconds as its event says, and fails if a header says so."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(
            "function.py",
            "import time\n"
            "def handle(event, context):\n"
            "    time.sleep(event.get('seconds', 0))\n"
            "    if (event.get('headers') or {}).get('fail'):\n"
            "        raise RuntimeError('in its own words')\n"
            "    return {'statusCode': 200, 'body': 'done'}\n",
        )
    created = client(strict, "lambda").create_function(
        FunctionName="function",
        Runtime="python3.12",
        Handler="function.handle",
        Role=ROLE,
        Code={"ZipFile": content.getvalue()},
        Timeout=30,
    )
    return str(created["FunctionArn"])


@pytest.mark.emulator
def test_invocations_beyond_the_concurrency_of_the_account_are_rejected(strict: Emulator, function: str) -> None:
    def invoke(_number: int) -> str:
        try:
            once(strict, "lambda").invoke(FunctionName=function, Payload=json.dumps({"seconds": 2}))
        except botocore.exceptions.ClientError as error:
            return f"{error.response['Error']['Code']} {error.response['ResponseMetadata']['HTTPStatusCode']}"
        return "done"

    with ThreadPoolExecutor(3) as threads:
        outcomes = sorted(threads.map(invoke, range(3)))
    assert outcomes == ["TooManyRequestsException 429", "done", "done"]


CONFIGURED: Final = {
    "responseParameters": {"gatewayresponse.header.Retry-After": "'1'"},
    "responseTemplates": {"application/json": '{"errors":["Please try again."]}'},
}


def api(emulator: Emulator, function: str, gateway_response: dict[str, Any]) -> str:
    """Deploy an API in front of a function, which its policy does not yet allow; return its URL."""
    apis = client(emulator, "apigateway")
    api_id = apis.create_rest_api(name="api")["id"]
    root = apis.get_resources(restApiId=api_id)["items"][0]["id"]
    apis.put_method(restApiId=api_id, resourceId=root, httpMethod="GET", authorizationType="NONE")
    apis.put_integration(
        restApiId=api_id,
        resourceId=root,
        httpMethod="GET",
        type="AWS_PROXY",
        integrationHttpMethod="POST",
        uri=f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{function}/invocations",
    )
    if gateway_response:
        apis.put_gateway_response(restApiId=api_id, **gateway_response)
    apis.create_deployment(restApiId=api_id, stageName="stage")
    return f"{emulator.endpoint}/_aws/execute-api/{api_id}/stage/"


@contextmanager
def permitted(emulator: Emulator, function: str, url: str, methods: str = "*") -> Iterator[None]:
    """Allow an API to invoke a function."""
    functions = client(emulator, "lambda")
    functions.add_permission(
        FunctionName=function,
        StatementId="api",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        SourceArn=f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{url.split('/')[-3]}/stage/{methods}/",
    )
    try:
        yield
    finally:
        functions.remove_permission(FunctionName=function, StatementId="api")


@contextmanager
def without_concurrency(emulator: Emulator, function: str) -> Iterator[None]:
    """Leave a function no execution."""
    functions = client(emulator, "lambda")
    functions.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
    try:
        yield
    finally:
        functions.delete_function_concurrency(FunctionName=function)


@pytest.mark.emulator
@pytest.mark.parametrize(
    ("gateway_response", "status", "retry_after", "body"),
    [
        ({}, 500, None, {"message": "Internal server error"}),
        ({"responseType": "DEFAULT_5XX", **CONFIGURED}, 500, "1", {"errors": ["Please try again."]}),
        (
            {"responseType": "INTEGRATION_FAILURE", "statusCode": "503", **CONFIGURED},
            503,
            "1",
            {"errors": ["Please try again."]},
        ),
    ],
    ids=["none", "default", "own"],
)
def test_an_api_answers_for_a_function_without_concurrency_by_its_gateway_response(  # noqa: PLR0913, PLR0917 - a table
    strict: Emulator,
    function: str,
    gateway_response: dict[str, Any],
    status: int,
    retry_after: str | None,
    body: dict[str, Any],
) -> None:
    url = api(strict, function, gateway_response)
    with permitted(strict, function, url):
        with without_concurrency(strict, function):
            response = httpx.get(url)
        assert httpx.get(url).text == "done"  # the next one is not affected
    assert (response.status_code, response.headers.get("retry-after"), response.json()) == (status, retry_after, body)


@pytest.mark.emulator
@pytest.mark.parametrize("methods", [None, "POST"])
def test_an_api_cannot_invoke_a_function_whose_policy_does_not_allow_it(
    strict: Emulator, function: str, methods: str | None
) -> None:
    url = api(strict, function, {})
    with nullcontext() if methods is None else permitted(strict, function, url, methods):
        response = httpx.get(url)
    assert (response.status_code, response.json()) == (500, {"message": "Internal server error"})


@pytest.mark.emulator
@pytest.mark.parametrize(
    ("gateway_response", "body"),
    [
        ({}, {"message": "Internal server error"}),
        ({"responseType": "DEFAULT_5XX", **CONFIGURED}, {"errors": ["Please try again."]}),
    ],
    ids=["none", "default"],
)
def test_an_api_answers_for_a_function_that_failed_with_502_and_without_its_words(
    strict: Emulator, function: str, gateway_response: dict[str, Any], body: dict[str, Any]
) -> None:
    url = api(strict, function, gateway_response)
    with permitted(strict, function, url):
        response = httpx.get(url, headers={"fail": "1"})
    assert (response.status_code, response.json()) == (502, body)


@pytest.mark.emulator
def test_a_function_cannot_reserve_what_others_need(strict: Emulator, function: str) -> None:
    """Of two executions, nothing can be reserved; to reserve none of them stops a function."""
    with rejected("InvalidParameterValueException"):
        client(strict, "lambda").put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=1)
    properties = {
        "FunctionName": "reserved",
        "Runtime": "python3.12",
        "Handler": "index.handle",
        "Role": ROLE,
        "Code": {"ZipFile": "def handle(event, context): pass"},
    }
    lambda_function = "AWS::Lambda::Function"
    assert deployed(strict, lambda_function, properties | {"ReservedConcurrentExecutions": 1}) == "ROLLBACK_COMPLETE"
    assert deployed(strict, lambda_function, properties | {"ReservedConcurrentExecutions": 0}) == "CREATE_COMPLETE"
    with rejected("TooManyRequestsException"):
        once(strict, "lambda").invoke(FunctionName="reserved")


# Secrets Manager

SECRET: Final = "AWS::SecretsManager::Secret"  # noqa: S105 - a type


@pytest.mark.emulator
@pytest.mark.parametrize(
    ("deleted", "code"),
    [(False, "ResourceExistsException"), (True, "InvalidRequestException")],
    ids=["taken", "recoverable"],
)
def test_the_name_of_a_secret_cannot_be_taken_again(strict: Emulator, deleted: bool, code: str) -> None:  # noqa: FBT001 - a parameter
    secrets, name = client(strict, "secretsmanager"), f"secret-{uuid.uuid4()}"
    secrets.create_secret(Name=name, SecretString="first")
    if deleted:
        secrets.delete_secret(SecretId=name)
    with rejected(code):
        secrets.create_secret(Name=name, SecretString="second")
    assert deployed(strict, SECRET, {"Name": name, "SecretString": "third"}) == "ROLLBACK_COMPLETE"
    if deleted:
        secrets.restore_secret(SecretId=name)
    assert secrets.get_secret_value(SecretId=name)["SecretString"] == "first"


@pytest.mark.emulator
@pytest.mark.parametrize(
    ("properties", "status"),
    [
        ({"SecretString": "given", "GenerateSecretString": {}}, "ROLLBACK_COMPLETE"),
        ({"GenerateSecretString": {"GenerateStringKey": "key"}}, "ROLLBACK_COMPLETE"),
        ({"GenerateSecretString": {"SecretStringTemplate": "{}"}}, "ROLLBACK_COMPLETE"),
        ({"GenerateSecretString": {"SecretStringTemplate": "{}", "GenerateStringKey": "key"}}, "CREATE_COMPLETE"),
        ({"SecretString": "given"}, "CREATE_COMPLETE"),
    ],
    ids=["given and generated", "key only", "template only", "template and key", "given"],
)
def test_a_secret_is_either_given_or_generated_by_a_template_with_a_key(
    strict: Emulator, properties: dict[str, Any], status: str
) -> None:
    assert deployed(strict, SECRET, properties) == status


def deployed(emulator: Emulator, kind: str, properties: dict[str, Any]) -> str:
    """Create a stack of one resource, and return the status that it ends with."""
    stacks, name = client(emulator, "cloudformation"), f"stack-{uuid.uuid4()}"
    template = {"Resources": {"Resource": {"Type": kind, "Properties": properties}}}
    stacks.create_stack(StackName=name, TemplateBody=json.dumps(template))

    def ended() -> str | None:
        status: str = stacks.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
        return None if status.endswith("_IN_PROGRESS") else status

    return eventually(ended, within=10)


# Connections


@pytest.mark.emulator
def test_a_client_that_tries_once_after_a_pause_finds_its_connection_closed(strict: Emulator) -> None:
    impatient, usual = once(strict, "dynamodb"), client(strict, "dynamodb")
    for tables in (impatient, usual):
        tables.list_tables()
    time.sleep(IDLE_S)
    with pytest.raises(botocore.exceptions.ConnectionClosedError):
        impatient.list_tables()
    assert impatient.list_tables()
    assert usual.list_tables()


@pytest.mark.emulator
def test_a_request_that_takes_long_keeps_its_connection(strict: Emulator, subscription: tuple[str, str]) -> None:
    queues = once(strict, "sqs")
    for _ in range(2):
        assert "Messages" not in queues.receive_message(QueueUrl=subscription[1], WaitTimeSeconds=4)


@pytest.mark.emulator
def test_a_client_of_the_api_keeps_its_connection(strict: Emulator) -> None:
    with closing(HTTPConnection(HOST, strict.port, timeout=30)) as connection:
        connection.connect()
        first = connection.sock
        for _ in range(2):
            connection.request("GET", "/_ministack/health")
            response = connection.getresponse()
            assert (response.status, bool(response.read())) == (200, True)
            assert connection.sock is first
            time.sleep(IDLE_S)
