"""The events table: what was emitted, in order, for `GET /events`."""

from typing import Final

from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from stacks.settings import Settings
from task_scheduler.aws import schema
from task_scheduler.cdk.table import Table


class EventLog(Construct):
    """The emitted events, in pages of sequence numbers."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        table = Table(
            self,
            "Events",
            partition_key=number(schema.PAGE),
            sort_key=number(schema.SEQUENCE),
            settings=settings,
        )
        self.table_name: Final = table.table_name
        self.table_arn: Final = table.table_arn


def number(name: str) -> dynamodb.Attribute:
    """Describe a key that is a number."""
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.NUMBER)
