"""Takes events from SNS over HTTPS: verified, each once. sns_subscriber.py TOPIC_ARN DATABASE [--port 8080].

It listens on loopback; put a server in front that speaks TLS, and limits how long a request may take. Subscribe without
raw delivery: a raw message carries no signature, so whoever knows the address could send one. This subscriber refuses
them. (The stack's setting `subscribers` subscribes raw; docs/aws-subscribers.md.)
"""

import argparse
import json
import logging
import sqlite3
import sys
from base64 import b64decode
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from re import fullmatch
from urllib.parse import parse_qs, urlsplit

import httpx
import uvicorn
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

log = logging.getLogger("subscriber")

LARGEST_BODY = 2_000_000  # bytes; a message has 256 KiB at most, before JSON escapes it
# SNS tries for an hour at most: https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html
OLDEST = timedelta(hours=1, minutes=5)
CLOCKS_DIFFER = timedelta(minutes=5)

# What is signed, and how:
# https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message-verify-message-signature.html
CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": CONFIRMATION,
    "UnsubscribeConfirmation": CONFIRMATION,
}
HASHES: dict[str, hashes.HashAlgorithm] = {
    "1": hashes.SHA1(),  # noqa: S303 - what SNS signs with unless the topic's SignatureVersion is 2
    "2": hashes.SHA256(),
}
# Strict: a looser pattern also takes sns.s3-us-west-2.amazonaws.com, which is anybody's bucket.
SNS_HOST = r"sns\.[a-z]{2,4}(-[a-z]+)+-\d+\.amazonaws\.com(\.cn)?"
CERTIFICATE_PATH = r"/SimpleNotificationService-[0-9a-f]{32}\.pem"


class RejectedError(Exception):
    """The message is not to be trusted."""


class UnavailableError(Exception):
    """What is needed cannot be had now; SNS sends the message again."""


def sns_url(url: str) -> str:
    """Return the URL if it leads to SNS by https, and nowhere else."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not fullmatch(SNS_HOST, parts.netloc):
        raise RejectedError(f"{url[:100]!r} does not lead to SNS")
    return url


def fetch(url: str) -> bytes:
    """Return what SNS answers; the error names no URL, since the one that confirms holds a token."""
    try:
        answer = httpx.get(url, timeout=5)  # seconds; SNS itself waits 15 for our answer
    except httpx.HTTPError as error:
        raise UnavailableError(f"SNS cannot be reached: {error}") from None
    if answer.status_code != httpx.codes.OK:
        raise UnavailableError(f"SNS answered {answer.status_code}")
    return answer.content


@lru_cache(maxsize=8)
def certificate(url: str) -> x509.Certificate:
    """Fetch the certificate that SNS signs with; it changes about once a year, and each has a URL of its own."""
    if not fullmatch(CERTIFICATE_PATH, urlsplit(sns_url(url)).path) or urlsplit(url).query:
        raise RejectedError("the SigningCertURL is not one of a certificate of SNS")
    return x509.load_pem_x509_certificate(fetch(url))


def verify(message: dict[str, str], topic_arn: str, now: datetime) -> None:
    """Raise RejectedError unless SNS has signed this message, for this topic, not long ago."""
    if message.get("TopicArn") != topic_arn:
        raise RejectedError("it is of another topic")
    try:
        names = SIGNED[message["Type"]]
        algorithm = HASHES[message["SignatureVersion"]]
        signature = b64decode(message["Signature"], validate=True)
        sent = datetime.fromisoformat(message["Timestamp"])
        signed = "".join(f"{name}\n{message[name]}\n" for name in names if name != "Subject" or name in message)
        signer = certificate(message["SigningCertURL"])
    except (KeyError, ValueError) as error:
        raise RejectedError(f"it is no message of SNS: {error!r:.100}") from error
    if not signer.not_valid_before_utc <= now <= signer.not_valid_after_utc:
        raise RejectedError("the certificate is not valid now")
    key = signer.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise RejectedError("the certificate holds no RSA key")
    try:
        key.verify(signature, signed.encode(), padding.PKCS1v15(), algorithm)
    except InvalidSignature:
        raise RejectedError("the signature is wrong") from None
    if not now - OLDEST <= sent <= now + CLOCKS_DIFFER:
        raise RejectedError("it is too old, or from the future")


class Subscriber:
    """Keeps each event once in a table of a SQLite file; your work takes it from there."""

    def __init__(self, topic_arn: str, database: Path) -> None:
        self._topic_arn = topic_arn
        self._database = database
        with self._connect() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS inbox (task_id TEXT PRIMARY KEY, event TEXT NOT NULL)")

    def _connect(self) -> closing[sqlite3.Connection]:
        return closing(sqlite3.connect(self._database, isolation_level=None))  # every statement is a transaction

    def receive(self, body: bytes) -> None:
        """Verify a message and do what it asks for."""
        try:
            envelope = json.loads(body)
        except (ValueError, RecursionError):
            raise RejectedError("it is not JSON") from None
        if not isinstance(envelope, dict) or "Signature" not in envelope:
            raise RejectedError("it has no signature; is it raw delivery?")
        # Tags come as MessageAttributes too, which SNS does not sign: read them from the event.
        message = {name: value for name, value in envelope.items() if isinstance(value, str)}
        verify(message, self._topic_arn, datetime.now(UTC))
        if message["Type"] == "Notification":
            self._keep(message["Message"])
        elif message["Type"] == "SubscriptionConfirmation":
            self._confirm(message["SubscribeURL"])
        else:
            log.warning("Somebody has unsubscribed this address.")

    def _keep(self, event: str) -> None:
        try:
            task_id = json.loads(event)["id"]
        except (ValueError, LookupError, TypeError, RecursionError):
            task_id = None
        if not isinstance(task_id, str):
            raise RejectedError("it is no event of a task; who else publishes to the topic?")
        with self._connect() as connection:
            new = connection.execute("INSERT OR IGNORE INTO inbox VALUES (?, ?)", (task_id, event)).rowcount
        log.info("Task %s %s.", task_id, "is kept" if new else "came again")

    def _confirm(self, url: str) -> None:
        query = parse_qs(urlsplit(sns_url(url)).query)
        if query.get("Action") != ["ConfirmSubscription"] or query.get("TopicArn") != [self._topic_arn]:
            raise RejectedError("the SubscribeURL confirms something else")
        fetch(url)
        log.info("The subscription is confirmed.")


def app(subscriber: Subscriber) -> Starlette:
    """Return the HTTP side: 200 once it is done, 403 where it is not to be trusted, 503 where SNS shall try again."""

    async def post(request: Request) -> PlainTextResponse:
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > LARGEST_BODY:
                return PlainTextResponse("too large", 413)
        try:
            await run_in_threadpool(subscriber.receive, bytes(body))
        except RejectedError as error:
            log.warning("Rejected: %s.", error)
            return PlainTextResponse("rejected", 403)
        except (UnavailableError, sqlite3.Error) as error:
            log.warning("Not handled: %s.", error)
            return PlainTextResponse("try again", 503)
        return PlainTextResponse("done")

    return Starlette(routes=[Route("/", post, methods=["POST"])])


def main() -> None:
    """Read the command line and serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("topic_arn")
    parser.add_argument("database", type=Path, help="SQLite file; made if it is not there")
    parser.add_argument("--port", type=int, default=8080)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs URLs, and the one that confirms holds a token
    try:
        subscriber = Subscriber(arguments.topic_arn, arguments.database)
    except sqlite3.Error as error:
        sys.exit(f"{arguments.database} cannot be opened: {error}")
    uvicorn.run(app(subscriber), port=arguments.port, log_level="info", access_log=False)


if __name__ == "__main__":
    main()
