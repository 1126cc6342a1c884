"""What SNS may deliver to. Knows nothing of CDK."""

import re
from typing import Final
from urllib.parse import urlsplit

_ARN: Final = r"arn:aws[a-z-]*:{}:[a-z0-9-]+:\d{{12}}:{}"
SUBSCRIBERS: Final = {
    "https": re.compile(r"https://[^\s/]+\S*"),
    "email": re.compile(r"[^\s@:/<>\[\]()\"',;]+@[^\s@:/<>\[\]()\"',;]+\.[^\s@:/<>\[\]()\"',;]+"),
    "sqs": re.compile(_ARN.format("sqs", r"[\w-]{1,80}"), re.ASCII),  # no FIFO queue hears a standard topic
    "lambda": re.compile(_ARN.format("lambda", r"function:[\w-]{1,64}(:[\w-]{1,128})?"), re.ASCII),
}


def subscription_protocol(endpoint: str) -> str:
    """Return what SNS calls this kind of endpoint; raises ValueError for any other kind."""
    for protocol, pattern in SUBSCRIBERS.items():
        if pattern.fullmatch(endpoint) and host_of(endpoint) is not None:
            return protocol
    raise ValueError(
        "must be https URLs, email addresses, or ARNs of SQS queues (not FIFO) or Lambda functions", endpoint
    )


def host_of(endpoint: str) -> str | None:
    """Return the host of a URL, "" for what is none; None where it cannot be read."""
    try:
        return urlsplit(endpoint).hostname or ""
    except ValueError:
        return None
