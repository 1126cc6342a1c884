"""The secret that callers send as `x-pd-secret`."""

from typing import Final

from aws_cdk import Acknowledgment, Aws, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct


class ApiSecret(Construct):
    """A generated secret of 40 letters and digits; the template does not contain it."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        secret = secretsmanager.Secret(
            self,
            "Value",
            secret_name=f"{Aws.STACK_NAME}-secret",
            description="What callers of the Task Scheduler API send as x-pd-secret",
            generate_secret_string=secretsmanager.SecretStringGenerator(
                password_length=40,
                # The class is switched off, so that nothing needs quoting in a shell. Secrets Manager rejects a class
                # that is left on with all its characters excluded.
                exclude_punctuation=True,
            ),
        )
        Validations.of(secret).acknowledge(
            Acknowledgment(
                id="AwsSolutions-SMG4", reason="Its clients are not in this account: who holds it has to be told first"
            )
        )
        self.secret: Final = secret

    def grant_read(self, grantee: iam.IGrantable) -> None:
        """Allow to read the value; `secretsmanager.Secret.grant_read` also allows to describe the secret."""
        iam.Grant.add_to_principal(
            grantee=grantee, actions=["secretsmanager:GetSecretValue"], resource_arns=[self.secret.secret_arn]
        )
