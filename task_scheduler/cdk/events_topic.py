"""The topic that every emitted event goes out on."""

from typing import Final

from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct


class EventsTopic(Construct):
    """The topic; TLS only, encrypted at rest with AWS's own key for SNS.

    A key of ours would cost a dollar a month and a grant to each publisher, and who disabled it would stop
    all messages. With AWS's key each role of this account that may publish can; what it shuts out are AWS
    services as publishers (alarms, buckets), and none publishes here. Subscribers need no key: SNS decrypts
    before it delivers.
    """

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        self.topic: Final = sns.Topic(
            self,
            "Topic",
            enforce_ssl=True,
            master_key=kms.Alias.from_alias_name(self, "SnsKey", "alias/aws/sns"),
        )
