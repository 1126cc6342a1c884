"""Takes what the topic delivered from the queue and records it."""

from typing import Any

from task_scheduler.aws import bootstrap
from task_scheduler.aws.metrics import metrics_with_throttle_hook
from task_scheduler.aws.recorder import Emission

metrics = metrics_with_throttle_hook()
recorder = bootstrap.recorder(metrics)


@metrics.flush_after
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Record a batch; what could not be recorded goes back to the queue, and nothing else does."""
    messages = event["Records"]
    done = recorder.record(
        [Emission(message["body"], int(message["attributes"]["SentTimestamp"])) for message in messages]
    )
    failures = [message["messageId"] for message, ok in zip(messages, done, strict=True) if not ok]
    return {"batchItemFailures": [{"itemIdentifier": failure} for failure in failures]}
