"""Errors as the services of AWS write them, in the JSON protocols: by operation, since each service has its own."""

import json
from typing import Final

Refusal = tuple[int, dict[str, str], bytes]
"""Status, headers and body of an answer."""

_DYNAMODB: Final = "DynamoDB_20120810"
_TYPES: Final = {_DYNAMODB: "application/x-amz-json-1.0", "AWSStepFunctions": "application/x-amz-json-1.0"}
_NAMESPACES: Final = {_DYNAMODB: "com.amazonaws.dynamodb.v20120810#"}
_BUSY: Final = {
    _DYNAMODB: "ProvisionedThroughputExceededException",
    "AWSStepFunctions": "ThrottlingException",
    "secretsmanager": "ThrottlingException",
}
_BROKEN: Final = {
    _DYNAMODB: "InternalServerError",
    "AWSStepFunctions": "InternalFailure",
    "secretsmanager": "InternalServiceError",
}


def throttled(target: str) -> Refusal:
    """Return what a service answers that is asked too often."""
    return _refusal(target, 400, _BUSY.get(_service(target), "ThrottlingException"), "Rate exceeded")


def internal_error(target: str) -> Refusal:
    """Return what a service answers when it fails, whether or not it did the work."""
    return _refusal(target, 500, _BROKEN.get(_service(target), "InternalFailure"), "The service failed")


def unavailable(_target: str) -> Refusal:
    """Return what stands in front of a service answers while the service is away: no JSON."""
    return 503, {"Content-Type": "text/html"}, b"<html><body><b>Http/1.1 Service Unavailable</b></body></html>"


def conflict(target: str) -> Refusal:
    """Return what DynamoDB answers while another transaction holds an item."""
    if target.endswith(".TransactWriteItems"):
        reasons = [{"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}, {"Code": "None"}]
        sentence = "Transaction cancelled, please refer cancellation reasons [TransactionConflict, None]"
        return _refusal(target, 400, "TransactionCanceledException", sentence, CancellationReasons=reasons)
    return _refusal(target, 400, "TransactionConflictException", "Transaction is ongoing for the item")


def _refusal(target: str, status: int, name: str, sentence: str, **more: object) -> Refusal:
    service = _service(target)
    body = {"__type": _NAMESPACES.get(service, "") + name, "message": sentence, **more}
    kind = _TYPES.get(service, "application/x-amz-json-1.1")
    return status, {"Content-Type": kind, "x-amzn-RequestId": "chaos"}, json.dumps(body).encode()


def _service(target: str) -> str:
    return target.rpartition(".")[0]
