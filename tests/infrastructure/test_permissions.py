"""Least privilege, tried out: without a permission breaks exactly what needs it, and no role may do anything else."""

from collections.abc import Iterator
from typing import Final

import pytest

from task_scheduler.aws.event_log import MAX_INLINE_BYTES
from tests.infrastructure.attempts import allowed
from tests.infrastructure.laboratory import Laboratory, laboratory
from tests.infrastructure.operations import OPERATIONS, records
from tests.infrastructure.permissions import BOOKMARK, CHECKPOINT, NEEDED_BY, STREAM, Call

TRIED: Final = [
    (role, call, broken)
    for role, needed in NEEDED_BY.items()
    for call, broken in needed.items()
    if not isinstance(broken, str)
]


@pytest.fixture(scope="module")
def lab() -> Iterator[Laboratory]:
    with laboratory() as found:
        assert records(found, size=MAX_INLINE_BYTES)  # so that there is an event to read, and its text elsewhere
        yield found


def failing(lab: Laboratory, role: str) -> set[str]:
    return {name for name, works in OPERATIONS[role](lab).items() if not works}


@pytest.mark.emulator
@pytest.mark.long
@pytest.mark.parametrize("role", OPERATIONS)
def test_with_all_its_permissions_a_role_does_all_it_is_for(lab: Laboratory, role: str) -> None:
    assert failing(lab, role) == set()


@pytest.mark.emulator
@pytest.mark.long
@pytest.mark.parametrize(
    ("role", "call", "broken"), TRIED, ids=[f"{role} {action} {on}" for role, (action, on), _ in TRIED]
)
def test_without_a_permission_breaks_exactly_what_needs_it(
    lab: Laboratory, role: str, call: Call, broken: frozenset[str]
) -> None:
    if role == STREAM:
        lab.seal_gaps()  # else more than one operation meets one
    with lab.without(role, call):
        assert failing(lab, role) == broken


@pytest.mark.emulator
@pytest.mark.long
@pytest.mark.parametrize("role", NEEDED_BY)
def test_whoever_has_a_roles_credentials_can_do_nothing_else_with_them(lab: Laboratory, role: str) -> None:
    done, denied = allowed(lab, role)
    assert done <= NEEDED_BY[role].keys()
    assert not denied & NEEDED_BY[role].keys()
    assert len(denied) > len(done) > 0


@pytest.mark.emulator
@pytest.mark.long
def test_the_user_who_deployed_may_assume_the_roles_of_the_cdk_and_no_more(lab: Laboratory) -> None:
    iam = lab.client("iam")
    [name] = iam.list_user_policies(UserName="deployer")["PolicyNames"]
    document = iam.get_user_policy(UserName="deployer", PolicyName=name)["PolicyDocument"]
    assert {statement["Action"] for statement in document["Statement"]} == {"sts:AssumeRole"}
    assert not iam.list_attached_user_policies(UserName="deployer")["AttachedPolicies"]
    assert not iam.list_groups_for_user(UserName="deployer")["Groups"]
    key = iam.create_access_key(UserName="deployer")["AccessKey"]
    dynamodb = lab.session(key["AccessKeyId"], key["SecretAccessKey"])("dynamodb")
    with pytest.raises(dynamodb.exceptions.ClientError, match="not authorized to perform: dynamodb:Scan"):
        dynamodb.scan(TableName=lab.physical("DynamoDB::Table", "Registry/"))


def test_no_permission_is_needed_by_nothing() -> None:
    """What the emulator cannot show, since AWS itself makes the call, is in AWS's documentation."""
    for needed in NEEDED_BY.values():
        for by in needed.values():
            assert (
                by.startswith("https://docs.aws.amazon.com/") or by in {BOOKMARK, CHECKPOINT}
                if isinstance(by, str)
                else by
            )
