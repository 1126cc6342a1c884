"""iam-policy.json: what CloudFormation needs to make, change and remove this stack, and no more."""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, Final

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER  # type: ignore[import-untyped]  # it has no types
from policy_sentry.querying.actions import get_action_data

from tests.support.synthesis import ROOT, Synthesis, listed

POLICY: Final[dict[str, Any]] = json.loads((ROOT / "iam-policy.json").read_text())
STATEMENTS: Final[list[dict[str, Any]]] = POLICY["Statement"]

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
MANAGED_POLICY_LIMIT: Final = 6144
ROOM_FOR_MORE: Final = 500

# What the handlers of CloudFormation's registry may call, but never for what is in this stack.
NEVER_CALLED: Final = {
    "no key of ours": ("kms:*", "logs:AssociateKmsKey", "logs:DisassociateKmsKey"),
    "no network of ours, no file system": ("ec2:*", "elasticfilesystem:*", "s3files:*"),
    "no code from a version of an S3 object": ("s3:GetObjectVersion",),
    "no layers, code signing, versions or capacity providers": (
        "lambda:GetLayerVersion",
        "lambda:GetCodeSigningConfig",
        "lambda:PutFunctionCodeSigningConfig",
        "lambda:DeleteFunctionCodeSigningConfig",
        "lambda:PublishVersion",
        "lambda:PutRuntimeManagementConfig",
        "lambda:PutFunctionRecursionConfig",
        "lambda:PutFunctionScalingConfig",
        "lambda:PassCapacityProvider",
        "lambda:AssociateRuntimeAlias",
    ),
    "no managed policies, boundaries, users or groups": (
        "iam:AttachRolePolicy",
        "iam:DetachRolePolicy",
        "iam:*PermissionsBoundary",
        "iam:*UserPolicy",
        "iam:*GroupPolicy",
    ),
    "tables without imports, replicas, streams, policies or insights": (
        "dynamodb:*Import",
        "dynamodb:ImportTable",
        "dynamodb:*Replica",
        "dynamodb:*Item",
        "dynamodb:Scan",
        "dynamodb:Query",
        "dynamodb:PutResourcePolicy",
        "dynamodb:DeleteResourcePolicy",
        "dynamodb:UpdateContributorInsights",
        "dynamodb:EnableKinesisStreamingDestination",
        "dynamodb:DisableKinesisStreamingDestination",
        "dynamodb:UpdateKinesisStreamingDestination",
        "kinesis:*",
        "iam:CreateServiceLinkedRole",
        "logs:CreateLogStream",
        "logs:DescribeLogStreams",
        "logs:PutLogEvents",
        "s3:GetObjectMetadata",
        "s3:ListBucket",
    ),
    "logs without policies, indexes, tokens or delivery elsewhere": (
        "logs:PutDataProtectionPolicy",
        "logs:DeleteDataProtectionPolicy",
        "logs:PutIndexPolicy",
        "logs:DeleteIndexPolicy",
        "logs:PutResourcePolicy",
        "logs:DeleteResourcePolicy",
        "logs:PutBearerTokenAuthentication",
        "logs:PutLogGroupDeletionProtection",
        "logs:CreateLogDelivery",
        "firehose:*",
        "s3:REST.PUT.OBJECT",
    ),
    "no policy of the API's own": ("apigateway:UpdateRestApiPolicy",),
    "topics without data protection": ("sns:PutDataProtectionPolicy",),
    "no copies of the secret": ("secretsmanager:*Replica*",),
}

FOR_THE_USER: Final = {"sts:AssumeRole"}
"""Everything else the CDK CLI does as the roles that `cdk bootstrap` made; the emulator shows that it suffices."""

FOR_CLOUDFORMATION: Final = {
    "ssm:GetParameters",  # for the version of the bootstrap that the template names
    "iam:PassRole",
}
"""Beside what the handlers of its resource types call."""


def actions(statements: list[dict[str, Any]] = STATEMENTS) -> list[str]:
    return [action for statement in statements for action in listed(statement["Action"])]


def called_for(kind: str) -> set[str]:
    """Return what the handlers of a resource type call, as CloudFormation's registry declares it."""
    handlers = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema["handlers"]
    never = [pattern for patterns in NEVER_CALLED.values() for pattern in patterns]
    return {
        action
        for verb in ("create", "read", "update", "delete")
        for action in handlers.get(verb, {}).get("permissions", ())
        if not any(fnmatchcase(action, pattern) for pattern in never)
    }


def kinds(*stacks: Synthesis) -> set[str]:
    return {resource["Type"] for stack in stacks for resource in stack.template["Resources"].values()}


def arn_formats(action: str) -> Iterator[str]:
    """Return the resources that an action can be limited to, as AWS's authorisation reference has it."""
    service, _, name = action.partition(":")
    for row in get_action_data(service, name)[service]:
        if row["resource_arn_format"] != "*":
            yield row["resource_arn_format"].replace("${Partition}", "aws")


def overlap(pattern: str, arn_format: str) -> bool:
    """Tell whether a resource of the policy can be one of the format; both have wildcards, part by part."""
    ours, theirs = pattern.split(":", 5), arn_format.split(":", 5)
    if len(ours) != len(theirs) or ours[:3] != theirs[:3]:
        return False
    fixed = theirs[5].partition("${")[0]
    return ours[5].startswith(fixed) or fixed.startswith(ours[5].partition("*")[0])


def test_every_resource_of_the_template_can_be_made_changed_and_removed(
    stack: Synthesis, other_stack: Synthesis
) -> None:
    allowed = set(actions())
    for kind in kinds(stack, other_stack):
        assert called_for(kind) <= allowed, kind


def test_nothing_is_allowed_that_no_resource_needs(stack: Synthesis, other_stack: Synthesis) -> None:
    needed = FOR_THE_USER | FOR_CLOUDFORMATION
    for kind in kinds(stack, other_stack):
        needed |= called_for(kind)
    assert set(actions()) == needed


def test_every_exception_from_the_registry_is_still_one(stack: Synthesis) -> None:
    declared = {
        action
        for kind in kinds(stack)
        for handler in PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema["handlers"].values()
        for action in handler.get("permissions", ())
    }
    for patterns in NEVER_CALLED.values():
        for pattern in patterns:
            assert any(fnmatchcase(action, pattern) for action in declared), pattern


def test_no_action_is_a_wildcard_or_is_there_twice() -> None:
    assert not [action for action in actions() if "*" in action]
    once = [
        action
        for statement in STATEMENTS
        if statement["Sid"] not in {"PassOwnRoles", "Subscribers"}  # what is allowed for our own, but for others' too
        for action in listed(statement["Action"])
    ]
    assert sorted(once) == sorted(set(once))


def test_an_action_is_limited_to_resources_where_its_service_can_do_that() -> None:
    for statement in STATEMENTS:
        resources = listed(statement["Resource"])
        for action in listed(statement["Action"]):
            if action.startswith("apigateway:"):
                continue  # the data of policy_sentry knows only the paths of its second version
            if formats := list(arn_formats(action)):
                assert "*" not in resources, action
                assert any(overlap(pattern, one) for pattern in resources for one in formats), action
            else:
                assert resources == ["*"], action


def test_a_resource_is_ours_or_of_the_cdk_bootstrap() -> None:
    for statement in STATEMENTS:
        for resource in listed(statement["Resource"]):
            ours = any(name in resource for name in ("TaskScheduler", "cdk-"))
            nameless = resource.startswith("arn:aws:apigateway:") or ":event-source-mapping:" in resource
            anyones = statement["Sid"] in {"NoNarrowerResource", "CreateEventSource", "Subscribers"}
            assert ours or nameless or anyones, resource


def test_a_function_of_others_can_only_be_opened_to_topics_and_closed_again() -> None:
    [statement] = [statement for statement in STATEMENTS if statement["Sid"] == "Subscribers"]
    assert listed(statement["Action"]) == ["lambda:AddPermission", "lambda:RemovePermission"]
    assert statement["Condition"] == {"StringEquals": {"lambda:Principal": "sns.amazonaws.com"}}


def test_roles_can_be_given_only_to_the_services_that_take_them_on() -> None:
    passed = {
        statement["Resource"]: listed(statement["Condition"]["StringEquals"]["iam:PassedToService"])
        for statement in STATEMENTS
        if "iam:PassRole" in listed(statement["Action"])
    }
    assert passed == {
        "arn:aws:iam::*:role/TaskScheduler*": ["lambda.amazonaws.com", "states.amazonaws.com"],
    }


def test_the_statement_for_the_user_allows_the_roles_of_the_cdk_and_nothing_else() -> None:
    [statement] = [statement for statement in STATEMENTS if FOR_THE_USER & set(listed(statement["Action"]))]
    assert statement["Sid"] == "CdkRoles"
    assert statement is STATEMENTS[0], "the documented command takes the first one"
    assert listed(statement["Action"]) == list(FOR_THE_USER)
    assert all(":role/cdk-" in resource for resource in statement["Resource"])
    assert not any("cfn-exec-role" in resource for resource in statement["Resource"]), "that is CloudFormation's own"


@pytest.mark.parametrize("partition", ["aws", "aws-us-gov", "aws-cn"])
def test_the_policy_fits_into_a_managed_policy_with_room_for_more_in_every_partition(partition: str) -> None:
    """As the documented `sed` changes it: every ARN names the partition in the same way."""
    text = (ROOT / "iam-policy.json").read_text().replace("arn:aws:", f"arn:{partition}:")
    resources = [one for statement in json.loads(text)["Statement"] for one in listed(statement["Resource"])]
    arns = [one for one in resources if one != "*"]
    arns += [
        one
        for statement in json.loads(text)["Statement"]
        for one in statement.get("Condition", {}).get("ArnLike", {}).values()
    ]
    assert {one.split(":")[1] for one in arns} == {partition}
    assert len("".join(text.split())) <= MANAGED_POLICY_LIMIT - ROOM_FOR_MORE
