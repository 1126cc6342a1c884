"""The properties that both tables share."""

from aws_cdk import Acknowledgment, RemovalPolicy, Validations
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from task_scheduler.aws import schema


class Table(dynamodb.Table):
    """A table paid by the request, encrypted with DynamoDB's own key (free); it deletes expired items.

    `production`: point-in-time recovery and deletion protection. `keep`: it outlives its stack.
    """

    def __init__(  # noqa: PLR0913 - keyword-only
        self,
        scope: Construct,
        construct_id: str,
        *,
        production: bool,
        keep: bool,
        partition_key: dynamodb.Attribute,
        sort_key: dynamodb.Attribute | None = None,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            partition_key=partition_key,
            sort_key=sort_key,
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            time_to_live_attribute=schema.EXPIRES_AT,
            deletion_protection=production,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=production
            ),
            removal_policy=_removal_policy(production=production, keep=keep),
        )
        Validations.of(self).acknowledge(
            Acknowledgment(
                id="AwsSolutions-DDB3", reason="It costs by the gigabyte; the setting production turns it on"
            )
        )


def _removal_policy(*, production: bool, keep: bool) -> RemovalPolicy:
    """Keep the table when its stack is deleted, but not when the creation of the stack fails: it is empty then.

    A table with deletion protection is kept in any case: CloudFormation could not delete it, and the rollback of a
    creation, or the removal of the stack, would itself fail:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html
    """
    if production:
        return RemovalPolicy.RETAIN
    return RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if keep else RemovalPolicy.DESTROY
