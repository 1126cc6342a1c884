"""The topic that every event is published to."""

from typing import Final

from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct


class EventsTopic(Construct):
    """The topic; TLS only, encrypted at rest with AWS's own key for SNS.

    A customer-managed key would cost a dollar a month and need a grant for each publisher, and disabling it would stop
    all messages. With AWS's key, every role of this account that may publish can do so. AWS services (alarms, buckets)
    cannot publish, and none does. Subscribers need no key: SNS decrypts before it delivers.
    """

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        self.topic: Final = sns.Topic(
            self,
            "Topic",
            enforce_ssl=True,
            master_key=kms.Alias.from_alias_name(self, "SnsKey", "alias/aws/sns"),
        )
