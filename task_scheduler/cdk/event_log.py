"""The events table: the log of emitted events that `GET /events` reads."""

from typing import Final

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from constructs import Construct

from task_scheduler.aws import schema
from task_scheduler.cdk.table import Table

_READ: Final = ("dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem")


class EventLogTable(Construct):
    """The emitted events, in pages of sequence numbers.

    Its grants name single actions: those of `dynamodb.Table` also allow scans, deletes and streams.
    """

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

    def grant_read(self, grantee: iam.IGrantable) -> None:
        """Allow to read events, and to write the marks by which a reader seals missing sequence numbers."""
        self._grant(grantee, *_READ)

    def grant_append(self, grantee: iam.IGrantable) -> None:
        """Allow to append events, which includes reading them."""
        self._grant(grantee, *_READ, "dynamodb:UpdateItem")

    def _grant(self, grantee: iam.IGrantable, *actions: str) -> None:
        iam.Grant.add_to_principal(grantee=grantee, actions=[*actions], resource_arns=[self.table.table_arn])


def number(name: str) -> dynamodb.Attribute:
    """Describe a key that is a number."""
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.NUMBER)
