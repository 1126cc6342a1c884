"""Reads items of the tasks table by their ids, many in one call."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from task_scheduler.aws.schema import TASK_ID

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_MAX_BATCH: Final = 100  # keys in one BatchGetItem (AWS, DynamoDB quotas)
_PAUSES_S: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)


def items_of(
    client: "DynamoDBClient", table: str, ids: Sequence[str], *, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Mapping[str, Any]]:
    """Yield the items of these ids as they are now, in this order, without those that are not there.

    Raises botocore's errors.
    """
    for start in range(0, len(ids), _MAX_BATCH):
        batch = ids[start : start + _MAX_BATCH]
        found = _read(client, table, batch, sleep)
        yield from (found[one] for one in batch if one in found)


def _read(
    client: "DynamoDBClient", table: str, ids: Sequence[str], sleep: Callable[[float], None]
) -> Mapping[str, Mapping[str, Any]]:
    """Read up to a hundred items.

    A response has at most 16 MB, and names the keys that it has left out, for that reason or since the table was
    throttled (AWS, BatchGetItem). Without a pause, a throttled table would be asked again at once. Where no item comes
    any more, the table counts as throttled.
    """
    found: dict[str, Mapping[str, Any]] = {}
    keys: list[Mapping[str, Any]] = [{TASK_ID: {"S": one}} for one in ids]
    pauses = iter(_PAUSES_S)
    while keys:
        response = client.batch_get_item(RequestItems={table: {"Keys": keys, "ConsistentRead": True}})
        items = response["Responses"].get(table, [])
        found |= {item[TASK_ID]["S"]: item for item in items}
        left = response["UnprocessedKeys"].get(table)
        keys = [*left["Keys"]] if left else []
        if items:
            pauses = iter(_PAUSES_S)
        if keys:
            pause_s = next(pauses, None)
            if pause_s is None:
                raise _throttled()
            sleep(pause_s)
    return found


def _throttled() -> ClientError:
    """Return the error of a read that was throttled as a whole."""
    error = "ProvisionedThroughputExceededException"
    return ClientError({"Error": {"Code": error, "Message": "Keys were left unprocessed."}}, "BatchGetItem")
