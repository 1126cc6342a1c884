"""The tasks table: the truth about every task."""

from typing import Final

from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from task_scheduler.aws import schema
from task_scheduler.cdk.table import Table


class TaskTable(Construct):
    """The tasks, found by id, and by state and due time through an index that holds the keys only."""

    def __init__(self, scope: Construct, construct_id: str, *, production: bool, keep: bool) -> None:
        super().__init__(scope, construct_id)
        table = Table(self, "Tasks", partition_key=text(schema.TASK_ID), production=production, keep=keep)
        table.add_global_secondary_index(
            index_name=schema.BY_DUE,
            partition_key=text(schema.BUCKET),
            sort_key=text(schema.DUE_ID),
            projection_type=dynamodb.ProjectionType.KEYS_ONLY,
        )
        self.table: Final = table
        self.by_due_arn: Final = f"{table.table_arn}/index/{schema.BY_DUE}"


def text(name: str) -> dynamodb.Attribute:
    """Describe a key that is text."""
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
