"""The tasks table: the source of truth for every task."""

from typing import Final

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from constructs import Construct

from task_scheduler.aws import schema
from task_scheduler.cdk.table import Table


class TaskTable(Construct):
    """The tasks, found by id, and by state and due time through an index that holds the keys only.

    Its grants name single actions: those of `dynamodb.Table` also allow scans, deletes and streams, and reach the
    table and all its indexes alike.
    """

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

    def grant_read_write(self, grantee: iam.IGrantable) -> None:
        """Allow to list, look up, add and change tasks."""
        iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["dynamodb:Query"],
            resource_arns=[f"{self.table.table_arn}/index/{schema.BY_DUE}"],
        )
        self._grant(grantee, "dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem")

    def grant_update(self, grantee: iam.IGrantable) -> None:
        """Allow to look up and change tasks, not to list or add any."""
        self._grant(grantee, "dynamodb:GetItem", "dynamodb:UpdateItem")

    def grant_read_payloads(self, grantee: iam.IGrantable) -> None:
        """Allow to read tasks whose ids are known: the payload of a large event is stored with its task only."""
        self._grant(grantee, "dynamodb:BatchGetItem")

    def _grant(self, grantee: iam.IGrantable, *actions: str) -> None:
        iam.Grant.add_to_principal(grantee=grantee, actions=[*actions], resource_arns=[self.table.table_arn])


def text(name: str) -> dynamodb.Attribute:
    """Describe a key that is text."""
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
