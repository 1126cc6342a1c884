"""Credits accounts from a queue that is subscribed to the topic, each message once: sqs_consumer.py QUEUE_URL DATABASE.

SNS and SQS deliver at least once, so the same task may come twice. The consumer writes down the id of the task in the
same transaction as its effect: either both are there or neither, whenever the process dies. It deletes the message only
after that; one that comes again is known by its id. Where the effect is not in your database (an email, a call of
another service), there is no such transaction: pass the id of the task on, if that service takes an idempotency key.
"""

import argparse
import json
import logging
import signal
import sqlite3
import sys
from contextlib import closing
from types import FrameType

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

log = logging.getLogger("consumer")

TABLES = """
CREATE TABLE IF NOT EXISTS handled (task_id TEXT PRIMARY KEY, at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, cents INTEGER NOT NULL);
"""
# SNS tries for 23 days to reach a queue, and a queue keeps a message for 14 at most: then none can come again.
FORGET = "DELETE FROM handled WHERE at < datetime('now', '-40 days')"

LARGEST_CREDIT = 1_000_000  # cents


def credit(database: sqlite3.Connection, message: object) -> None:
    """Do the work; raises ValueError where the message is not what it should be."""
    match message:
        case {"account": str(account), "cents": int(cents)} if 0 < cents <= LARGEST_CREDIT:
            database.execute(
                "INSERT INTO accounts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET cents = cents + excluded.cents",
                (account, cents),
            )
        case _:
            raise ValueError(f'expected {{"account": "name", "cents": 500}}, with {LARGEST_CREDIT} cents at most')


def handle_once(database: sqlite3.Connection, body: str) -> None:
    """Do the work of an event unless its task was handled before."""
    match json.loads(body):
        case {"id": str(task_id), "message": message}:
            pass
        case _:
            raise ValueError("expected an event; is the subscription one with RawMessageDelivery?")
    with database:  # a transaction
        if database.execute("INSERT OR IGNORE INTO handled (task_id) VALUES (?)", (task_id,)).rowcount == 0:
            log.info("Task %s came again.", task_id)
            return
        credit(database, message)
    log.info("Task %s is handled.", task_id)


class Consumer:
    """Takes messages from the queue until it is asked to stop."""

    def __init__(self, queue_url: str, database: sqlite3.Connection) -> None:
        self._sqs = boto3.client("sqs", config=Config(retries={"mode": "standard", "max_attempts": 8}))
        self._queue_url = queue_url
        self._database = database
        self._waiting = self._stopping = False

    def stop(self, _signal: int, _frame: FrameType | None) -> None:
        """Stop when the messages in hand are handled; at once if it waits for some."""
        self._stopping = True
        if self._waiting:
            raise KeyboardInterrupt  # what it gets in this very moment becomes visible to others again

    def run(self) -> None:
        """Handle what comes."""
        while not self._stopping:
            self._waiting = True
            answer = self._sqs.receive_message(QueueUrl=self._queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=20)
            self._waiting = False
            for message in answer.get("Messages", []):
                try:
                    handle_once(self._database, message["Body"])
                except (ValueError, RecursionError) as error:
                    # Not deleted: it comes again, and after maxReceiveCount SQS moves it to the dead-letter queue.
                    log.warning("Message %s is left in the queue: %s.", message["MessageId"], error)
                else:
                    self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"])


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("queue_url")
    parser.add_argument("database", help="SQLite file; made if it is not there")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        with closing(sqlite3.connect(arguments.database)) as database:
            database.executescript(TABLES)
            with database:
                database.execute(FORGET)
            consumer = Consumer(arguments.queue_url, database)
            signal.signal(signal.SIGTERM, consumer.stop)
            signal.signal(signal.SIGINT, consumer.stop)
            log.info("Waiting for messages.")
            consumer.run()
    except KeyboardInterrupt:
        pass
    except (BotoCoreError, ClientError, sqlite3.Error) as error:
        sys.exit(f"The consumer ends: {error}")  # whatever started it starts it again; nothing is lost
    log.info("Stopped.")


if __name__ == "__main__":
    main()
