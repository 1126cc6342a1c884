"""SNS: what it rejects, and how it delivers to queues."""

import re
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final

from ministack.services import sns, sqs  # type: ignore[import-untyped]  # it has no types

from emulator.rules import Every

Attributes = Mapping[str, Mapping[str, Any]]

_MAX_NAME: Final = 256
_NAME: Final = re.compile(r"[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]+)*")
_RESERVED: Final = ("aws.", "amazon.")
_TYPE: Final = re.compile(r"(String|Number|Binary)(\..+)?")
_MAX_RAW_ATTRIBUTES: Final = 10


def reject_invalid_messages() -> None:
    """Reject an empty message, and attributes whose name, type or value is invalid.

    https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html has the rules; most codes and sentences are
    LocalStack's, compared with AWS in https://github.com/localstack/localstack/pull/11857. ministack 1.5.33 has the
    limit of 256 KiB for message and attributes, and no other.
    """
    publish = sns.publish_internal

    def publish_valid(topic: str, message: object, *given: Any, **named: Any) -> Any:  # noqa: ANN401 - as it was
        if not message:
            raise sns.SnsPublishError("InvalidParameter", "Invalid parameter: Empty message")
        for name, attribute in (named.get("message_attributes") or {}).items():
            problem = problem_of(name, attribute)
            if problem:
                raise sns.SnsPublishError("ParameterValueInvalid", problem)
        return publish(topic, message, *given, **named)

    sns.publish_internal = publish_valid


def problem_of(name: str, attribute: Mapping[str, Any]) -> str | None:
    """Say what is invalid about a message attribute."""
    if len(name) > _MAX_NAME:
        return f"Length of message attribute name must be less than {_MAX_NAME} bytes."
    if not _NAME.fullmatch(name) or name.lower().startswith(_RESERVED):
        return f"Invalid message attribute name '{name}'."
    kind = attribute.get("DataType") or ""
    if not _TYPE.fullmatch(kind):
        return (
            f"The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes "
            "is Binary, Number, and String."
        )
    if not attribute.get("BinaryValue" if kind.startswith("Binary") else "StringValue"):
        return (
            f"The message attribute '{name}' must contain non-empty message attribute value for message attribute type "
            f"'{kind}'."
        )
    return None


def discard_what_queues_reject() -> None:
    """Discard a raw message with more than ten attributes, or with characters that SQS does not allow.

    "Messages with more than 10 message attributes directed towards Raw Message Delivery enabled Amazon SQS
    subscriptions will be discarded as client side errors":
    https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html. The characters are in
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html; that SNS discards for
    them too is a conclusion, not recorded.
    """
    deliver = sns._deliver_to_sqs  # noqa: SLF001 - there is no other place to take hold of
    forbidden = sqs._INVALID_SQS_CHARS_RE  # noqa: SLF001 - the rule that it has for SendMessage

    def deliver_allowed(endpoint: str, envelope: str, raw: bool, message: str, **named: Any) -> None:  # noqa: ANN401, FBT001 - as it was
        attributes = named.get("message_attributes") or {}
        if raw and (len(attributes) > _MAX_RAW_ATTRIBUTES or forbidden.search(message)):
            sns.logger.warning("SNS discards a message that %s rejects", endpoint)
            return
        deliver(endpoint, envelope, raw, message, **named)

    sns._deliver_to_sqs = deliver_allowed  # noqa: SLF001 - the same


def deliver_more_than_once_and_out_of_order(repeats: Every, repeat_after_s: float, lags: Every, lag_s: float) -> None:
    """Put some messages twice into a standard queue, the second time later, and let others be overtaken.

    Each queue has its own count. "Standard queues ... at-least-once delivery ... best-effort ordering":
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/standard-queues.html. ministack 1.5.33
    delivers exactly once and in order.
    """
    deliver, queue_delay = sns._deliver_to_sqs, sqs.queue_delay  # noqa: SLF001 - the same
    later: ContextVar[float] = ContextVar("later", default=0)

    def deliver_after(seconds: float, endpoint: str, *given: Any, **named: Any) -> None:  # noqa: ANN401 - as it was
        token = later.set(seconds)
        try:
            deliver(endpoint, *given, **named)
        finally:
            later.reset(token)

    def deliver_at_least_once(endpoint: str, *given: Any, **named: Any) -> None:  # noqa: ANN401 - as it was
        if named.get("message_group_id"):  # FIFO
            deliver(endpoint, *given, **named)
            return
        deliver_after(lag_s if lags(endpoint) else 0, endpoint, *given, **named)
        if repeats(endpoint):
            deliver_after(repeat_after_s, endpoint, *given, **named)

    sqs.queue_delay = lambda queue: queue_delay(queue) + later.get()
    sns._deliver_to_sqs = deliver_at_least_once  # noqa: SLF001 - the same
