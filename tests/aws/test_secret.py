"""The secret in Secrets Manager: the current one and the one before it, and what is known when it cannot be read."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from moto import mock_aws

from task_scheduler.aws.secret import CACHE_S, StoredSecret
from task_scheduler.engine import UnavailableError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

NAME = "TaskScheduler-secret"


class Clock:
    """Milliseconds that a test sets."""

    ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


def unsigned() -> Any:  # noqa: ANN401 - the client of a service, for a stub
    return boto3.client("secretsmanager", region_name="eu-west-1", config=Config(signature_version=UNSIGNED))


def labelled(stage: str) -> dict[str, str]:
    return {"SecretId": NAME, "VersionStage": stage}


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator["SecretsManagerClient"]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nobody")
    with mock_aws():
        found = boto3.client("secretsmanager", region_name="eu-west-1")
        found.create_secret(Name=NAME, SecretString="first")
        yield found


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stored(client: "SecretsManagerClient", clock: Clock) -> StoredSecret:
    return StoredSecret(client, NAME, now_ms=clock)


def test_a_secret_that_was_never_changed_is_the_only_one(stored: StoredSecret) -> None:
    assert stored() == ("first",)


def test_the_one_before_is_taken_too_until_its_label_is_taken_away(
    client: "SecretsManagerClient", stored: StoredSecret, clock: Clock
) -> None:
    assert stored() == ("first",)
    client.put_secret_value(SecretId=NAME, SecretString="second")
    assert stored() == ("first",)  # for five minutes, what it knows
    clock.ms += 1000 * CACHE_S + 1
    assert stored() == ("second", "first")
    previous = client.get_secret_value(SecretId=NAME, VersionStage="AWSPREVIOUS")["VersionId"]
    client.update_secret_version_stage(SecretId=NAME, VersionStage="AWSPREVIOUS", RemoveFromVersionId=previous)
    clock.ms += 1000 * CACHE_S + 1
    assert stored() == ("second",)


def test_a_secret_is_read_once_in_five_minutes(clock: Clock) -> None:
    client = unsigned()
    stored = StoredSecret(client, NAME, now_ms=clock)
    with Stubber(client) as stub:
        for _ in range(2):
            stub.add_response("get_secret_value", {"SecretString": "one"}, labelled("AWSCURRENT"))
            stub.add_response("get_secret_value", {"SecretString": "two"}, labelled("AWSPREVIOUS"))
        for _ in range(100):  # of a bit less than three seconds each
            assert stored() == ("one", "two")
            clock.ms += 2_990
        clock.ms += 1_000
        stored()
        stub.assert_no_pending_responses()


def test_known_secrets_go_on_being_valid_while_they_cannot_be_read(clock: Clock) -> None:
    client = unsigned()
    stored = StoredSecret(client, NAME, now_ms=clock)
    with Stubber(client) as stub:
        stub.add_response("get_secret_value", {"SecretString": "second"}, labelled("AWSCURRENT"))
        stub.add_response("get_secret_value", {"SecretString": "first"}, labelled("AWSPREVIOUS"))
        assert stored() == ("second", "first")
        clock.ms += 1000 * CACHE_S + 1
        stub.add_response("get_secret_value", {"SecretString": "third"}, labelled("AWSCURRENT"))
        stub.add_client_error("get_secret_value", "ThrottlingException")
        assert stored() == ("second", "first")  # half of an answer is none
        stub.add_response("get_secret_value", {"SecretString": "third"}, labelled("AWSCURRENT"))
        stub.add_response("get_secret_value", {"SecretString": "second"}, labelled("AWSPREVIOUS"))
        clock.ms += 59_999
        assert stored() == ("second", "first")
        clock.ms += 1  # a failed read is repeated after a minute
        assert stored() == ("third", "second")


def test_where_none_was_ever_read_nobody_is_let_in(clock: Clock) -> None:
    client = unsigned()
    with Stubber(client) as stub:
        stub.add_client_error("get_secret_value", "InternalServiceError")
        with pytest.raises(UnavailableError) as raised:
            StoredSecret(client, NAME, now_ms=clock)()
    assert isinstance(raised.value.__cause__, ClientError)
