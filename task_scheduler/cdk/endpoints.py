"""The endpoints that a topic can deliver to: their syntax, and the SNS protocol of each."""

import re
from typing import Final
from urllib.parse import urlsplit

_ARN: Final = r"arn:aws[a-z-]*:{}:[a-z0-9-]+:\d{{12}}:{}"
SUBSCRIBERS: Final = {
    "https": re.compile(r"https://[^\s/]+\S*"),
    "email": re.compile(r"[^\s@:/<>\[\]()\"',;]+@[^\s@:/<>\[\]()\"',;]+\.[^\s@:/<>\[\]()\"',;]+"),
    "sqs": re.compile(_ARN.format("sqs", r"[\w-]{1,80}"), re.ASCII),  # FIFO queues need a FIFO topic
    "lambda": re.compile(_ARN.format("lambda", r"function:[\w-]{1,64}(:[\w-]{1,128})?"), re.ASCII),
}


def subscription_protocol(endpoint: str) -> str:
    """Return the SNS protocol of an endpoint; raises ValueError if it is not one of the supported kinds."""
    for protocol, pattern in SUBSCRIBERS.items():
        if pattern.fullmatch(endpoint) and host_of(endpoint) is not None:
            return protocol
    raise ValueError(
        "must be https URLs, email addresses, or ARNs of SQS queues (not FIFO) or Lambda functions", endpoint
    )


def host_of(endpoint: str) -> str | None:
    """Return the host of a URL: "" if the text is not a URL, None if the URL is malformed."""
    try:
        return urlsplit(endpoint).hostname or ""
    except ValueError:
        return None
