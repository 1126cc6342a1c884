"""The fault proxy, between the clients of the functions and a stand-in for AWS that counts."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError
from botocore.session import get_session

from lab.chaos.aws.fault_proxy import HOST, FaultProxy
from lab.chaos.aws.nemesis import Kind, Plan
from lab.chaos.aws.processes import CAN_KILL, Workers
from tests.support.clock import eventually

pytestmark = pytest.mark.lab

KEY: Final = {"id": {"S": "1"}}
READ_TIMEOUT_S: Final = 0.3
CARRIED_OUT: Final = {Kind.ERROR_AFTER, Kind.TIMEOUT_AFTER, Kind.LATE, Kind.RESET_AFTER, Kind.TRUNCATED}


class Scripted(Plan):
    """Faults by a list; after its end, none."""

    def __init__(self, *kinds: Kind) -> None:
        super().__init__("", 0)
        self.kinds = list(kinds)

    def next(self, operation: str) -> Kind | None:
        super().next(operation)
        return self.kinds.pop(0) if self.kinds else None


class Aws(ThreadingHTTPServer):
    """Answers every call with the batch that it asks for, or with an empty item; keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((HOST, 0), _Answers)
        self.asked: list[tuple[str, Any]] = []
        self.came = threading.Event()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_address[1]}"


class _Answers(BaseHTTPRequestHandler):
    server: Aws

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.headers["X-Amz-Target"], body))
        answer: dict[str, Any] = {"Item": KEY}
        if "RequestItems" in body:
            answer = {"Responses": {table: keys["Keys"] for table, keys in body["RequestItems"].items()}}
        text = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
        self.server.came.set()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
        pass


@pytest.fixture
def aws() -> Iterator[Aws]:
    with Aws() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def client(url: str, service: str = "dynamodb", *, attempts: int = 1) -> Any:  # noqa: ANN401 - any client
    retries: Any = {"mode": "standard", "total_max_attempts": attempts}
    config = Config(connect_timeout=1, read_timeout=READ_TIMEOUT_S, retries=retries)
    found: Any = get_session().create_client(
        service,
        endpoint_url=url,
        config=config,
        aws_access_key_id="nobody",
        aws_secret_access_key="nobody",  # noqa: S106 - no secret
    )
    return found


def put(one: Any) -> object:  # noqa: ANN401 - any client
    return one.put_item(TableName="tasks", Item=KEY)


def test_calls_pass_through_unchanged(aws: Aws) -> None:
    with FaultProxy(aws.url, plan := Scripted()) as proxy, closing(client(proxy.url)) as dynamodb:
        for _ in range(3):
            assert dynamodb.get_item(TableName="tasks", Key=KEY)["Item"] == KEY
    assert aws.asked == [("DynamoDB_20120810.GetItem", {"TableName": "tasks", "Key": KEY})] * 3
    assert plan.calls == {"GetItem": 3}


@pytest.mark.parametrize(
    ("kind", "error", "code"),
    [
        (Kind.THROTTLED, ClientError, "ProvisionedThroughputExceededException"),
        (Kind.CONFLICT, ClientError, "TransactionConflictException"),
        (Kind.ERROR, ClientError, "InternalServerError"),
        (Kind.ERROR_AFTER, ClientError, "InternalServerError"),
        (Kind.UNAVAILABLE, ClientError, "503"),
        (Kind.TIMEOUT, ReadTimeoutError, ""),
        (Kind.TIMEOUT_AFTER, ReadTimeoutError, ""),
        (Kind.LATE, ReadTimeoutError, ""),
        (Kind.RESET, ConnectionClosedError, ""),
        (Kind.RESET_AFTER, ConnectionClosedError, ""),
        (Kind.TRUNCATED, ConnectionClosedError, ""),
    ],
)
def test_a_caller_meets_the_fault_and_the_call_is_carried_out_or_not(
    aws: Aws, kind: Kind, error: type[Exception], code: str
) -> None:
    with FaultProxy(aws.url, Scripted(kind)) as proxy, closing(client(proxy.url)) as dynamodb:
        with pytest.raises(error) as caught:
            put(dynamodb)
        if isinstance(caught.value, ClientError):
            assert caught.value.response["Error"]["Code"] == code
        if kind in CARRIED_OUT:
            assert aws.came.wait(10)
        assert len(aws.asked) == (kind in CARRIED_OUT)


def test_what_is_late_is_carried_out_once_the_caller_has_given_up(aws: Aws) -> None:
    with FaultProxy(aws.url, Scripted(Kind.LATE)) as proxy:
        port = urlsplit(proxy.url).port or 0
        with socket.create_connection((HOST, port)) as caller:
            caller.sendall(b"POST / HTTP/1.1\r\nX-Amz-Target: DynamoDB_20120810.PutItem\r\nContent-Length: 2\r\n\r\n{}")
            assert not aws.came.wait(0.2)
        assert aws.came.wait(10)
    assert aws.asked == [("DynamoDB_20120810.PutItem", {})]


@pytest.mark.parametrize(
    "kind", [kind for kind in Kind if kind not in {Kind.CONFLICT, Kind.PARTIAL, Kind.CRASH, Kind.CRASH_AFTER}]
)
def test_the_clients_of_the_functions_try_again(aws: Aws, kind: Kind) -> None:
    with FaultProxy(aws.url, Scripted(kind)) as proxy, closing(client(proxy.url, attempts=2)) as dynamodb:
        put(dynamodb)


@pytest.mark.parametrize(
    ("service", "call", "given", "codes"),
    [
        (
            "stepfunctions",
            "stop_execution",
            {"executionArn": "arn:aws:states:us-east-1:1:execution:a:b"},
            ["ThrottlingException", "InternalFailure"],
        ),
        ("secretsmanager", "get_secret_value", {"SecretId": "a"}, ["ThrottlingException", "InternalServiceError"]),
    ],
)
def test_each_service_refuses_in_its_own_words(
    aws: Aws, service: str, call: str, given: dict[str, str], codes: list[str]
) -> None:
    found = []
    with (
        FaultProxy(aws.url, Scripted(Kind.THROTTLED, Kind.ERROR)) as proxy,
        closing(client(proxy.url, service)) as one,
    ):
        for _ in codes:
            with pytest.raises(ClientError) as caught:
                getattr(one, call)(**given)
            found.append(caught.value.response["Error"]["Code"])
    assert found == codes


def test_a_transaction_in_the_way_cancels_a_transaction_with_its_reason(aws: Aws) -> None:
    with (
        FaultProxy(aws.url, Scripted(Kind.CONFLICT)) as proxy,
        closing(client(proxy.url)) as dynamodb,
        pytest.raises(dynamodb.exceptions.TransactionCanceledException) as caught,
    ):
        dynamodb.transact_write_items(TransactItems=[{"Put": {"TableName": "tasks", "Item": KEY}}])
    reasons: Any = caught.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["TransactionConflict", "None"]


def test_one_half_of_a_batch_comes_and_the_other_is_named(aws: Aws) -> None:
    keys = [{"id": {"S": str(number)}} for number in range(5)]
    with FaultProxy(aws.url, Scripted(Kind.PARTIAL)) as proxy, closing(client(proxy.url)) as dynamodb:
        answer = dynamodb.batch_get_item(RequestItems={"tasks": {"Keys": keys, "ConsistentRead": True}})
    assert answer["Responses"] == {"tasks": keys[::2]}
    assert answer["UnprocessedKeys"] == {"tasks": {"Keys": keys[1::2], "ConsistentRead": True}}


@pytest.mark.parametrize("kind", [Kind.CRASH, Kind.CRASH_AFTER])
def test_whoever_made_the_call_is_killed(aws: Aws, kind: Kind) -> None:
    ports: list[int] = []

    def kill(port: int) -> bool:
        ports.append(port)
        return True

    with (
        FaultProxy(aws.url, Scripted(kind), kill=kill) as proxy,
        closing(client(proxy.url)) as dynamodb,
        pytest.raises(ConnectionClosedError),
    ):
        put(dynamodb)
    assert len(ports) == 1
    assert len(aws.asked) == (kind is Kind.CRASH_AFTER)


@pytest.fixture
def connected() -> Iterator[Callable[[], tuple[subprocess.Popen[bytes], int]]]:
    """Start a process that holds a connection to us; return it and the port that it calls from."""
    children = []
    with socket.create_server((HOST, 0)) as server:
        script = (
            f"import socket, time; s = socket.create_connection(('{HOST}', {server.getsockname()[1]})); time.sleep(60)"
        )

        def start() -> tuple[subprocess.Popen[bytes], int]:
            child = subprocess.Popen([sys.executable, "-c", script])  # noqa: S603 - our own program
            children.append(child)
            connection, (_, port) = server.accept()
            connections.append(connection)
            return child, port

        connections: list[socket.socket] = []
        yield start
        for connection in connections:
            connection.close()
    for child in children:
        child.kill()
        child.wait()


linux = pytest.mark.skipif(not CAN_KILL, reason="only Linux tells which process has a connection")


@linux
def test_the_child_that_makes_a_call_is_killed_and_no_other(
    connected: Callable[[], tuple[subprocess.Popen[bytes], int]],
) -> None:
    (caller, port), (other, _) = connected(), connected()
    assert eventually(lambda: Workers(os.getpid()).kill_caller(port))  # the kernel tells of it a moment later
    assert caller.wait(10) == -9
    assert other.poll() is None


@linux
def test_no_process_is_killed_that_is_not_a_child_of_the_emulator(
    connected: Callable[[], tuple[subprocess.Popen[bytes], int]],
) -> None:
    child, port = connected()
    assert not Workers(child.pid).kill_caller(port)
    assert not Workers(os.getpid()).kill_caller(1)
    assert child.poll() is None
