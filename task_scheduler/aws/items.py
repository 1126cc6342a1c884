"""Reads items of the tasks table by their ids, many in one call."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from task_scheduler.aws.names import TASK_ID

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_MAX_BATCH: Final = 100  # keys in one BatchGetItem (AWS, DynamoDB quotas)


def items_of(client: "DynamoDBClient", table: str, ids: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Yield the items of these ids as they are now, in this order, without those that are not there.

    A call answers 16 MB at most, and names what it has left out (AWS, BatchGetItem). Raises botocore's errors.
    """
    for start in range(0, len(ids), _MAX_BATCH):
        batch = ids[start : start + _MAX_BATCH]
        found: dict[str, Mapping[str, Any]] = {}
        keys: list[Mapping[str, Any]] = [{TASK_ID: {"S": one}} for one in batch]
        while keys:
            answer = client.batch_get_item(RequestItems={table: {"Keys": keys, "ConsistentRead": True}})
            found |= {item[TASK_ID]["S"]: item for item in answer["Responses"].get(table, [])}
            left = answer["UnprocessedKeys"].get(table)
            keys = [*left["Keys"]] if left else []
        yield from (found[one] for one in batch if one in found)
