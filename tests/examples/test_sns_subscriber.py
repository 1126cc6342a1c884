"""The HTTPS subscriber: it keeps what SNS has signed, once, and takes nothing from anybody else."""

import json
import re
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

import httpx
import pytest

from tests.examples import aws_command
from tests.examples.printed import Running, Workplace, printed
from tests.examples.sns_host import CONFIRM, ELLIPTIC, EXPIRED, HOST, MISSING, TOPIC, VALID, SnsHost
from tests.support.clock import eventually

pytestmark = pytest.mark.slow

SERVE: Final = printed("python examples/sns_subscriber.py $TOPIC_ARN inbox.db --port 8080")
SUBSCRIBE_HTTPS: Final = printed(
    "aws sns subscribe --topic-arn $TOPIC_ARN --protocol https --notification-endpoint https://example.com/hook"
)


def ago(**units: float) -> str:
    return (datetime.now(UTC) - timedelta(**units)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def notification(task_id: str, **changed: str) -> dict[str, str]:
    event = json.dumps({"id": task_id, "timestamp": "2026-12-01T08:00:00.000Z", "message": "Grüße"})
    return {
        "Type": "Notification",
        "MessageId": str(uuid4()),
        "TopicArn": TOPIC,
        "Message": event,
        "Timestamp": ago(seconds=1),
    } | changed


def confirmation(**changed: str) -> dict[str, str]:
    return {
        "Type": "SubscriptionConfirmation",
        "MessageId": str(uuid4()),
        "TopicArn": TOPIC,
        "Token": "abc",
        "Message": "You have chosen to subscribe.",
        "SubscribeURL": CONFIRM,
        "Timestamp": ago(seconds=1),
    } | changed


@dataclass
class Subscriber:
    """The example while it runs, and SNS."""

    url: str
    sns: SnsHost
    running: Running
    workplace: Workplace
    task_id: str = field(default_factory=lambda: str(uuid4()))

    def post(self, body: bytes) -> int:
        """Post to it; returns the status."""
        return httpx.post(self.url, content=body, headers={"content-type": "text/plain; charset=UTF-8"}).status_code

    def changed(self, **changes: str) -> bytes:
        """Return a good message, signed, in which something was changed afterwards."""
        return json.dumps(json.loads(self.sns.sign(notification(self.task_id))) | changes).encode()

    def kept(self) -> int:
        """Return how often the task is in the inbox."""
        with closing(sqlite3.connect(self.workplace.folder / "inbox.db")) as database:
            found = database.execute("SELECT event FROM inbox WHERE task_id = ?", (self.task_id,)).fetchall()
        assert all(json.loads(event)["message"] == "Grüße" for (event,) in found)
        return len(found)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subscriber]:
    """One for all tests: each has a task of its own."""
    sns = SnsHost(tmp_path_factory.mktemp("sns"))
    workplace = Workplace(tmp_path_factory.mktemp("work"), "http://127.0.0.1:9")
    with sns.listening():
        variables = {"TOPIC_ARN": TOPIC, "HTTPS_PROXY": sns.proxy, "SSL_CERT_FILE": str(sns.authorities)}
        with workplace.running(SERVE.replace("8080", "0"), **variables) as running:
            running.wait_for_error("running on")
            found = re.search(r"http://127\.0\.0\.1:\d+", running.errors())
            assert found
            yield Subscriber(found.group(), sns, running, workplace)
            assert "Traceback" not in running.errors()
            assert running.stop(signal.SIGTERM) in {0, -signal.SIGTERM}


@pytest.fixture
def subscriber(started: Subscriber) -> Subscriber:
    """The same, with a task of its own."""
    return Subscriber(started.url, started.sns, started.running, started.workplace)


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_signed_message_is_kept_once(subscriber: Subscriber, version: str) -> None:
    first = subscriber.sns.sign(notification(subscriber.task_id, Subject="Hello"), version=version)
    again = subscriber.sns.sign(notification(subscriber.task_id), version=version)
    tags = {"MessageAttributes": {"user": {"Type": "String", "Value": "42"}}}  # are not signed
    again = json.dumps(json.loads(again) | tags).encode()
    assert [subscriber.post(body) for body in (first, first, again)] == [200, 200, 200]
    assert subscriber.kept() == 1
    assert subscriber.sns.asked.count(VALID) == 1  # the certificate is fetched once


@pytest.mark.parametrize(
    "changes",
    [
        {"Message": '{"id": "another"}'},
        {"Timestamp": "2026-12-01T08:00:00.000Z"},
        {"TopicArn": f"{TOPIC}-of-somebody"},
        {"Subject": "added"},
        {"Signature": "AAAA"},
        {"Signature": "no base64"},
        {"SignatureVersion": "2"},
        {"SignatureVersion": "3"},
        {"Type": "UnsubscribeConfirmation"},
        {"Type": "Whatever"},
        {"Timestamp": "yesterday"},
    ],
    ids=str,
)
def test_a_message_that_was_changed_is_rejected(subscriber: Subscriber, changes: dict[str, str]) -> None:
    assert subscriber.post(subscriber.changed(**changes)) == 403
    assert subscriber.kept() == 0


@pytest.mark.parametrize(
    "url",
    [
        VALID.replace("https", "http"),
        VALID.replace(HOST, "example.com"),
        VALID.replace(HOST, f"{HOST}.example.com"),
        VALID.replace(HOST, f"{HOST}:8443"),
        VALID.replace(HOST, f"{HOST}@example.com"),
        VALID.replace(HOST, f"user@{HOST}"),
        VALID.replace("us-east-1", "s3-us-west-2"),
        VALID.replace("us-east-1", "s3.us-east-1"),
        VALID.replace("sns.us-east-1", "sns"),
        f"https://{HOST}/anything.pem",
        f"https://{HOST}/x?y=/SimpleNotificationService-{0:032x}.pem",
        f"{VALID}?x=y",
        "https://[",
        "",
    ],
)
def test_a_certificate_from_elsewhere_is_not_even_asked_for(subscriber: Subscriber, url: str) -> None:
    before = len(subscriber.sns.asked)
    assert subscriber.post(subscriber.changed(SigningCertURL=url)) == 403
    assert subscriber.kept() == 0
    assert len(subscriber.sns.asked) == before


@pytest.mark.parametrize(("url", "status"), [(EXPIRED, 403), (ELLIPTIC, 403), (MISSING, 503)])
def test_a_certificate_that_is_expired_of_another_kind_or_missing_is_not_used(
    subscriber: Subscriber, url: str, status: int
) -> None:
    """SNS comes again after an error of the server."""
    assert subscriber.post(subscriber.changed(SigningCertURL=url)) == status
    assert subscriber.kept() == 0


@pytest.mark.parametrize(
    ("minutes", "status"),
    [(59, 200), (70, 403), (-4, 200), (-10, 403)],
    ids=["last try", "replay", "clocks differ", "future"],
)
def test_old_messages_are_rejected(subscriber: Subscriber, minutes: int, status: int) -> None:
    body = subscriber.sns.sign(notification(subscriber.task_id, Timestamp=ago(minutes=minutes)))
    assert subscriber.post(body) == status
    assert subscriber.kept() == (status == 200)


def test_a_subscription_to_the_topic_is_confirmed(subscriber: Subscriber) -> None:
    before = subscriber.sns.asked.count(CONFIRM)
    assert subscriber.post(subscriber.sns.sign(confirmation())) == 200
    assert subscriber.sns.asked.count(CONFIRM) == before + 1
    assert subscriber.post(subscriber.sns.sign(confirmation(Type="UnsubscribeConfirmation"))) == 200
    subscriber.running.wait_for_error("unsubscribed")


@pytest.mark.parametrize(
    "changes",
    [
        {"TopicArn": f"{TOPIC}-of-somebody"},
        {"SubscribeURL": CONFIRM.replace("https", "http")},
        {"SubscribeURL": CONFIRM.replace(HOST, "example.com")},
        {"SubscribeURL": CONFIRM.replace("ConfirmSubscription", "DeleteTopic")},
        {"SubscribeURL": CONFIRM.replace(TOPIC, f"{TOPIC}-of-somebody")},
    ],
    ids=str,
)
def test_nothing_else_is_confirmed(subscriber: Subscriber, changes: dict[str, str]) -> None:
    """Though SNS itself has signed it."""
    before = len(subscriber.sns.asked)
    assert subscriber.post(subscriber.sns.sign(confirmation(**changes))) == 403
    assert not [url for url in subscriber.sns.asked[before:] if "Action" in url]


def test_a_confirmation_that_fails_is_tried_again(subscriber: Subscriber) -> None:
    assert subscriber.post(subscriber.sns.sign(confirmation(SubscribeURL=f"{CONFIRM}-that-has-expired"))) == 503
    subscriber.running.wait_for_error("SNS answered 404")
    assert "Token" not in subscriber.running.errors()


def test_the_subscription_is_one_without_raw_delivery() -> None:
    command = aws_command.read(SUBSCRIBE_HTTPS.replace("$TOPIC_ARN", TOPIC))
    assert (command.service, command.method) == ("sns", "subscribe")
    assert command.parameters == {"TopicArn": TOPIC, "Protocol": "https", "Endpoint": "https://example.com/hook"}


def test_a_body_that_is_no_signed_event_is_rejected(subscriber: Subscriber) -> None:
    """Raw delivery, too, since nobody has signed it."""
    unsigned = [b"", b"[]", b"null", b"{", b'{"Signature": 1}', b"\xff", b"[" * 100_000]
    raw = notification(subscriber.task_id)["Message"].encode()
    texts = ("hello", "[]", "null", '{"message": 1}', '{"id": 7}')
    no_events = [subscriber.sns.sign(notification(subscriber.task_id, Message=text)) for text in texts]
    for body in (*unsigned, raw, *no_events):
        assert subscriber.post(body) == 403, body[:80]
    subscriber.running.wait_for_error("is it raw delivery?")
    assert subscriber.post(b"x" * 2_000_001) == 413
    assert subscriber.kept() == 0


def test_while_the_database_cannot_take_it_it_is_tried_again(subscriber: Subscriber) -> None:
    body = subscriber.sns.sign(notification(subscriber.task_id))
    with closing(sqlite3.connect(subscriber.workplace.folder / "inbox.db", isolation_level=None)) as other:
        other.execute("CREATE TRIGGER no BEFORE INSERT ON inbox BEGIN SELECT RAISE(ABORT, 'not now'); END")
        assert subscriber.post(body) == 503
        other.execute("DROP TRIGGER no")
    assert subscriber.post(body) == 200
    assert subscriber.kept() == 1
    eventually(lambda: "Not handled: not now." in subscriber.running.errors())
