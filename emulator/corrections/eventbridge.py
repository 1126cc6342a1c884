"""EventBridge: how often a scheduled rule invokes its target."""

from collections.abc import Mapping
from typing import Any

from ministack.services import eventbridge  # type: ignore[import-untyped]  # it has no types

from emulator.rules import Every


def invoke_twice(twice: Every) -> None:
    """Send some scheduled events twice at once; each rule has its own count.

    "My rule ran more than once in response to one event":
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-troubleshooting.html. An asynchronous invocation may
    also be delivered twice by Lambda itself: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async.html
    """
    invoke = eventbridge._invoke_target  # noqa: SLF001 - there is no other place to take hold of

    def invoke_at_least_once(target: object, event: Mapping[str, Any], rule: Mapping[str, Any], *given: Any) -> None:  # noqa: ANN401 - as it was
        invoke(target, event, rule, *given)
        if event.get("DetailType") == "Scheduled Event" and twice(rule["Arn"]):
            invoke(target, event, rule, *given)

    eventbridge._invoke_target = invoke_at_least_once  # noqa: SLF001 - the same
