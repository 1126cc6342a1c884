"""A stack of the run: deployed by the CDK CLI, destroyed with all that it left, and looked for afterwards."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from botocore.exceptions import ClientError

from emulator.tools import ROOT
from stacks.settings import PREFIX
from tests.acceptance.cloud import CdkError, Cloud, exists, synthesize
from tests.acceptance.removal import Removal, until_empty
from tests.infrastructure.inventory import names_of

SETTINGS: Final[Mapping[str, str]] = {
    "file": "",
    "keep_tables": "false",
    "dashboard": "false",
    "log_retention_days": "1",
}
"""No file of the operator's, whose subscribers are real; and nothing that outlives the stack."""

_QUALIFIER: Final = "@aws-cdk/core:bootstrapQualifier"
_USUAL_QUALIFIER: Final = "hnb659fds"
_DEPLOY_S: Final = 1_200
_DESTROY_S: Final = 1_800
_GONE_S: Final = 600
_HEALTH_S: Final = 120
_PAUSE_S: Final = 2

_REMOVE: Final[Mapping[str, str]] = {
    "tables": "aws dynamodb delete-table --table-name {name}",
    "functions": "aws lambda delete-function --function-name {name}",
    "machines": "aws stepfunctions delete-state-machine --state-machine-arn "
    "arn:{partition}:states:{region}:{account}:stateMachine:{name}",
    "topics": "aws sns delete-topic --topic-arn arn:{partition}:sns:{region}:{account}:{name}",
    "queues": "aws sqs delete-queue --queue-url https://sqs.{region}.amazonaws.com/{account}/{name}",
    "secrets": "aws secretsmanager delete-secret --secret-id {name} --force-delete-without-recovery",
    "logs": "aws logs describe-log-groups --log-group-name-pattern {name}  # then delete-log-group",
    "alarms": "aws cloudwatch delete-alarms --alarm-names {name}",
    "rules": "aws events remove-targets --rule {name} --ids Target0; aws events delete-rule --name {name}",
    "roles": "aws iam list-role-policies --role-name {name}  # delete-role-policy each, then delete-role",
    "APIs": "aws apigateway get-rest-apis --query \"items[?name=='{name}'].id\"  # then delete-rest-api",
    "stacks": "aws cloudformation delete-stack --stack-name {name}",
    "policies": "aws iam delete-policy --policy-arn arn:{partition}:iam::{account}:policy/{name}",
    "buckets": "aws s3 rb --force s3://{name}",
    "parameters": "aws ssm delete-parameter --name {name}",
    "repositories": "aws ecr delete-repository --force --repository-name {name}",
}
"""By kind, what an operator types for something that stayed."""


@dataclass(frozen=True)
class Deployed:
    """A deployment that answers."""

    url: str
    """Ends with a slash."""
    secret: str
    outputs: Mapping[str, str]


@dataclass(frozen=True)
class Stack:
    """One stack, and the folder that its assembly is in."""

    cloud: Cloud
    name: str
    folder: Path
    qualifier: str | None = None
    """Of a bootstrap of its own; None for the usual one."""

    def deploy(self, removal: Removal) -> Deployed:
        """Synthesize and deploy, once its removal is noted; returns when the API answers."""
        context = {f"{PREFIX}{name}": value for name, value in {**SETTINGS, "stack": self.name}.items()}
        if self.qualifier:
            context[_QUALIFIER] = self.qualifier
        synthesize(self._assembly, context)
        for bucket, key in self._new_assets():
            removal.add(
                f"the asset {key[:16]}... in {bucket}",
                partial(empty, self.cloud, bucket, key),
                f"aws s3 rm s3://{bucket}/{key}",
            )
        removal.add(
            f"the stack {self.name}",
            self.remove,
            *_commands_of_stack(self.cloud, self.name, self._usual_role if self.qualifier else None),
        )
        outputs = self.folder / f"{self.name}.outputs.json"
        self.cloud.cdk(
            "deploy",
            f"--app={self._assembly}",
            "--method=direct",
            "--require-approval=never",
            f"--outputs-file={outputs}",
            cwd=self.folder,
            seconds=_DEPLOY_S,
        )
        [values] = json.loads(outputs.read_text()).values()
        secret: str = self.cloud.client("secretsmanager").get_secret_value(SecretId=values["SecretArn"])["SecretString"]
        deployed = Deployed(_url(self.cloud, values["ApiUrl"]), secret, values)
        _wait_for(f"{deployed.url}health")
        return deployed

    def destroy(self) -> None:
        """Remove the stack, and end its executions, which would keep the state machine until they are due."""
        if not exists(self.cloud, self.name):
            return
        self._end_executions()
        with suppress(CdkError):  # CloudFormation itself then gets a second chance
            self.cloud.cdk(
                "destroy",
                f"--app={self._assembly}",
                "--force",
                cwd=self.folder,
                seconds=_DESTROY_S,
                meanwhile=self._end_executions,
            )
        remove_stack(self.cloud, self.name)

    def remove(self) -> None:
        """Destroy the stack; where a bootstrap of its own cannot, by the CloudFormation role of the usual one."""
        try:
            self.destroy()
        except RuntimeError:
            if not self.qualifier:
                raise
            remove_stack(self.cloud, self.name, role=self._usual_role)

    def function(self, construct: str) -> str:
        """Return the name of a function by its place among the constructs, such as ApiFunction."""
        pages = self.cloud.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=self.name)
        [name] = [
            one["PhysicalResourceId"]
            for page in pages
            for one in page["StackResourceSummaries"]
            if one["ResourceType"] == "AWS::Lambda::Function" and one["LogicalResourceId"].startswith(construct)
        ]
        return str(name)

    @property
    def _usual_role(self) -> str:
        account, region = self.cloud.account, self.cloud.region
        role = f"cdk-{_USUAL_QUALIFIER}-cfn-exec-role-{account}-{region}"
        return f"arn:{self.cloud.partition}:iam::{account}:role/{role}"

    @property
    def _assembly(self) -> Path:
        return self.folder / f"{self.name}.out"

    def _new_assets(self) -> Iterator[tuple[str, str]]:
        """Yield bucket and key of each file that the deployment is going to add to the bootstrap's bucket."""
        manifest = json.loads((self._assembly / f"{self.name}.assets.json").read_text())
        client = self.cloud.client("s3")
        given = {"${AWS::AccountId}": self.cloud.account, "${AWS::Region}": self.cloud.region}
        given["${AWS::Partition}"] = self.cloud.partition
        for file in manifest["files"].values():
            for destination in file["destinations"].values():
                bucket, key = destination["bucketName"], destination["objectKey"]
                for variable, value in given.items():
                    bucket = bucket.replace(variable, value)
                if not client.list_objects_v2(Bucket=bucket, Prefix=key).get("KeyCount"):
                    yield bucket, key

    def _end_executions(self) -> None:
        client = self.cloud.client("stepfunctions")
        where = f"{self.cloud.partition}:states:{self.cloud.region}:{self.cloud.account}"
        machine = f"arn:{where}:stateMachine:{self.name}-timer"
        with suppress(ClientError):  # the state machine may be gone; the removal goes on in any case
            pages = client.get_paginator("list_executions").paginate(stateMachineArn=machine, statusFilter="RUNNING")
            for execution in [one for page in pages for one in page["executions"]]:
                with suppress(ClientError):  # this one may have ended
                    client.stop_execution(executionArn=execution["executionArn"])


@dataclass(frozen=True)
class Toolkit:
    """A bootstrap of its own, whose CloudFormation has iam-policy.json and no more."""

    cloud: Cloud
    name: str
    qualifier: str
    folder: Path

    def bootstrap(self, removal: Removal) -> None:
        """Create the managed policy and the bootstrap's stack, once their removal is noted."""
        iam = self.cloud.client("iam")
        policy = f"{self.name}-policy"
        arn = f"arn:{self.cloud.partition}:iam::{self.cloud.account}:policy/{policy}"
        text = (ROOT / "iam-policy.json").read_text().replace("arn:aws:", f"arn:{self.cloud.partition}:")
        removal.add(
            f"the policy {policy}",
            lambda: iam.delete_policy(PolicyArn=arn),
            f"aws iam delete-policy --policy-arn {arn}",
        )
        iam.create_policy(PolicyName=policy, PolicyDocument=json.dumps(json.loads(text)))
        bucket = f"cdk-{self.qualifier}-assets-{self.cloud.account}-{self.cloud.region}"
        removal.add(
            f"the bucket {bucket}", lambda: _remove_bucket(self.cloud, bucket), f"aws s3 rb --force s3://{bucket}"
        )
        removal.add(
            f"the stack {self.name}",
            lambda: remove_stack(self.cloud, self.name),
            *_commands_of_stack(self.cloud, self.name),
        )
        self.cloud.cdk(
            "bootstrap",
            f"aws://{self.cloud.account}/{self.cloud.region}",
            f"--qualifier={self.qualifier}",
            f"--toolkit-stack-name={self.name}",
            f"--cloudformation-execution-policies={arn}",
            cwd=self.folder,
            seconds=_DEPLOY_S,
        )


def remove_stack(cloud: Cloud, name: str, *, role: str | None = None) -> None:
    """Let CloudFormation delete a stack, and wait until it is gone; raises RuntimeError where it stays.

    With its own role, or with another one.
    """
    if not exists(cloud, name):
        return
    client = cloud.client("cloudformation")
    client.delete_stack(StackName=name, **({"RoleARN": role} if role else {}))
    deadline = time.monotonic() + _GONE_S
    while exists(cloud, name):
        status, why = _status(cloud, name)
        if status == "DELETE_FAILED" or time.monotonic() > deadline:
            raise RuntimeError(f"it is {status}: {why}")
        time.sleep(_PAUSE_S)


def empty(cloud: Cloud, bucket: str, prefix: str = "") -> None:
    """Delete all versions of the objects of a bucket whose key begins so."""
    client = cloud.client("s3")
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        for found in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
            client.delete_object(Bucket=bucket, Key=found["Key"], VersionId=found["VersionId"])


def sweep(cloud: Cloud, stack: str, qualifier: str | None, *, within_s: float) -> list[str]:
    """Delete tables and log groups that stayed; return what else is left, each with a command that removes it."""
    for table in leftovers(cloud, stack, qualifier)["tables"]:
        with suppress(ClientError):
            cloud.client("dynamodb").delete_table(TableName=table)
    logs = cloud.client("logs")
    for group in _log_groups(logs, stack):
        with suppress(ClientError):
            logs.delete_log_group(logGroupName=group)

    def look() -> list[str]:
        found = leftovers(cloud, stack, qualifier)
        place = {"partition": cloud.partition, "region": cloud.region, "account": cloud.account}
        return [_REMOVE[kind].format(name=name, **place) for kind, names in found.items() for name in names]

    return [*until_empty(look, within_s=within_s, every_s=_PAUSE_S)]


def leftovers(cloud: Cloud, stack: str, qualifier: str | None) -> dict[str, list[str]]:
    """Return the names of everything that begins with the stack's name, or belongs to its bootstrap, by kind."""
    found = names_of(cloud, stack)
    pages = cloud.client("cloudformation").get_paginator("describe_stacks").paginate()
    stacks = [one["StackName"] for page in pages for one in page["Stacks"]]
    policies = cloud.client("iam").get_paginator("list_policies").paginate(Scope="Local")
    found["stacks"] = [name for name in stacks if name.startswith(stack)]
    found["policies"] = [
        one["PolicyName"] for page in policies for one in page["Policies"] if one["PolicyName"].startswith(stack)
    ]
    if qualifier:
        mark = f"cdk-{qualifier}-"
        buckets = cloud.client("s3").list_buckets()["Buckets"]
        found["buckets"] = [one["Name"] for one in buckets if one["Name"].startswith(mark)]
        found["roles"] += names_of(cloud, mark)["roles"]
        versions = cloud.client("ssm").get_parameters(Names=[f"/cdk-bootstrap/{qualifier}/version"])
        found["parameters"] = [one["Name"] for one in versions["Parameters"]]
        repositories = cloud.client("ecr").get_paginator("describe_repositories").paginate()
        names = [one["repositoryName"] for page in repositories for one in page["repositories"]]
        found["repositories"] = [name for name in names if name.startswith(mark)]
    return found


def _log_groups(client: Any, stack: str) -> list[str]:  # noqa: ANN401 - a client
    pages = client.get_paginator("describe_log_groups").paginate()
    names = [one["logGroupName"] for page in pages for one in page["logGroups"]]
    return [name for name in names if name.rpartition("/")[2].startswith(stack)]


def _remove_bucket(cloud: Cloud, bucket: str) -> None:
    empty(cloud, bucket)
    cloud.client("s3").delete_bucket(Bucket=bucket)


def _status(cloud: Cloud, name: str) -> tuple[str, str]:
    """Return the status of a stack and its reason; empty where it has just gone."""
    try:
        [stack] = cloud.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError:
        return "", ""
    return stack["StackStatus"], stack.get("StackStatusReason", "no reason is given")


def _commands_of_stack(cloud: Cloud, name: str, role: str | None = None) -> tuple[str, str]:
    by = f" --role-arn {role}" if role else ""
    return (
        f"aws cloudformation delete-stack --stack-name {name} --region {cloud.region}{by}",
        f"aws cloudformation wait stack-delete-complete --stack-name {name} --region {cloud.region}",
    )


def _url(cloud: Cloud, output: str) -> str:
    """Return where the API answers; the emulator has it below its own endpoint."""
    if cloud.endpoint is None:
        return output
    url = urlsplit(output)  # https://<api id>.execute-api.<region>.amazonaws.com/<stage>/
    return f"{cloud.endpoint}/_aws/execute-api/{url.netloc.partition('.')[0]}{url.path}"


def _wait_for(url: str) -> None:
    """Return when the API answers; raises RuntimeError where it does not in time."""
    deadline = time.monotonic() + _HEALTH_S
    while True:
        with suppress(httpx.RequestError):
            if httpx.get(url, timeout=30).is_success:
                return
        if time.monotonic() > deadline:
            raise RuntimeError(f"GET /health does not answer with 200 within {_HEALTH_S} s.")
        time.sleep(_PAUSE_S)
