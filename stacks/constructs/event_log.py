"""The events table: what was emitted, in order, for `GET /events`."""

from typing import Final

from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from stacks.constructs.table import Table
from stacks.settings import Settings
from task_scheduler.aws import names


class EventLog(Construct):
    """The emitted events, in pages of sequence numbers."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        table = Table(
            self,
            "Events",
            partition_key=number(names.PAGE),
            sort_key=number(names.SEQUENCE),
            settings=settings,
        )
        self.table_name: Final = table.table_name
        self.table_arn: Final = table.table_arn


def number(name: str) -> dynamodb.Attribute:
    """Describe a key that is a number."""
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.NUMBER)
