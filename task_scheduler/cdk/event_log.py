"""The events table: what was emitted, in order, for `GET /events`."""

from typing import Final

from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from task_scheduler.aws import schema
from task_scheduler.cdk.table import Table


class EventLogTable(Construct):
    """The emitted events, in pages of sequence numbers."""

    def __init__(self, scope: Construct, construct_id: str, *, production: bool, keep: bool) -> None:
        super().__init__(scope, construct_id)
        table = Table(
            self,
            "Events",
            partition_key=number(schema.PAGE),
            sort_key=number(schema.SEQUENCE),
            production=production,
            keep=keep,
        )
        self.table: Final = table


def number(name: str) -> dynamodb.Attribute:
    """Describe a key that is a number."""
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.NUMBER)
