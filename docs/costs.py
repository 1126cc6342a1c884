"""What the AWS engine costs: the calls of each action, counted by tests/aws/test_prices.py, times list prices.

Prices are of us-east-1 in US dollars, without free tiers. Items and messages are taken to be small: up to 1 KB.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from docs.markdown import table

CHECKED: Final = "2026-11-22"

API_SECONDS: Final = 0.15
"""Assumed, not measured on AWS: how long a call of `api` takes, and one of `recorder` with ten messages twice that."""

BATCH: Final = 10
"""Messages that the recorder takes at once when there are many."""

LOG_KB: Final = 1
"""Assumed: what Lambda logs of a call."""


@dataclass(frozen=True)
class Price:
    """What one unit costs, and where that is written."""

    unit: str
    dollars: float
    per: int
    official: str
    seen: str
    """A copy of the price that could be read when this was checked."""


_AWS: Final = "https://aws.amazon.com"
PRICES: Final[Mapping[str, Price]] = {
    "Step Functions": Price(
        "state transition", 0.025, 1_000, f"{_AWS}/step-functions/pricing/", f"{_AWS}/step-functions/pricing/"
    ),
    "API Gateway (REST)": Price(
        "request",
        3.50,
        1_000_000,
        f"{_AWS}/api-gateway/pricing/",
        "https://docs.aws.amazon.com/whitepapers/latest/best-practices-api-gateway-private-apis-integration/cost-optimization.html",
    ),
    "DynamoDB writes": Price(
        "write request unit",
        0.625,
        1_000_000,
        f"{_AWS}/dynamodb/pricing/on-demand/",
        "https://airbyte.com/data-engineering-resources/dynamodb-pricing",
    ),
    "DynamoDB reads": Price(
        "read request unit",
        0.125,
        1_000_000,
        f"{_AWS}/dynamodb/pricing/on-demand/",
        "https://airbyte.com/data-engineering-resources/dynamodb-pricing",
    ),
    "Lambda calls": Price(
        "call", 0.20, 1_000_000, f"{_AWS}/lambda/pricing/", "https://cloudchipr.com/blog/aws-lambda-pricing"
    ),
    "Lambda time (arm64)": Price(
        "GB-second", 13.3334, 1_000_000, f"{_AWS}/lambda/pricing/", "https://cloudchipr.com/blog/aws-lambda-pricing"
    ),
    "SNS publishes": Price(
        "publish",
        0.50,
        1_000_000,
        f"{_AWS}/sns/pricing/",
        "https://www.factualminds.com/blog/amazon-sns-pricing-publishes-fanout-protocols/",
    ),
    "SNS to https": Price(
        "delivery",
        0.60,
        1_000_000,
        f"{_AWS}/sns/pricing/",
        "https://www.factualminds.com/blog/amazon-sns-pricing-publishes-fanout-protocols/",
    ),
    "SQS": Price(
        "request",
        0.40,
        1_000_000,
        f"{_AWS}/sqs/pricing/",
        "https://awsnegotiations.com/sqs-sns-cost-optimization.html",
    ),
    "Secrets Manager": Price(
        "secret in a month",
        0.40,
        1,
        f"{_AWS}/secrets-manager/pricing/",
        "https://hivebook.wiki/wiki/aws-secrets-manager-rotated-secrets-dynamic-db-credentials-kms",
    ),
    "CloudWatch logs": Price(
        "GB", 0.50, 1, f"{_AWS}/cloudwatch/pricing/", "https://cloudburn.io/blog/amazon-cloudwatch-pricing"
    ),
}

Usage = Mapping[str, float]

_API_CALL: Final[Usage] = {
    "API Gateway (REST)": 1,
    "Lambda calls": 1,
    "Lambda time (arm64)": API_SECONDS * 0.5,
    "CloudWatch logs": LOG_KB / 1_000_000,
}
# A write to the table writes to its index too: once where an item is new, twice where it moves in the index. An item in
# a transaction counts twice, its index not: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
ACTIONS: Final[Mapping[str, Usage]] = {
    "schedule": {**_API_CALL, "DynamoDB writes": 1 + 1, "Step Functions": 1},
    "first tag": {"DynamoDB writes": 1 + 2 + 1},  # the task's own item is now in a transaction too
    "further tag": {"DynamoDB writes": 2 + 1},
    "emit": {
        "Step Functions": 1,
        "SNS publishes": 1,
        "SQS": 1 + 2 / BATCH,  # sent one by one; received and deleted in batches
        "DynamoDB reads": 1,
        "DynamoDB writes": (2 + 2) + 2 + 1 / BATCH,  # the task and its index, the event, the counter
        "Lambda calls": 1 / BATCH,
        "Lambda time (arm64)": 2 * API_SECONDS * 0.5 / BATCH,
        "CloudWatch logs": LOG_KB / 1_000_000 / BATCH,
    },
    "cancel": {**_API_CALL, "DynamoDB reads": 1, "DynamoDB writes": 1 + 2},
    "https delivery": {"SNS to https": 1},
}

_HOURS: Final = 730  # in a month
LISTENER: Final[Usage] = {  # one that is idle comes back every 25 s, and looks at the counter four times a second
    "API Gateway (REST)": _HOURS * 3600 / 25,
    "Lambda calls": _HOURS * 3600 / 25,
    "Lambda time (arm64)": _HOURS * 3600 * 0.25,
    "DynamoDB reads": _HOURS * 3600 * 4,
    "CloudWatch logs": _HOURS * 3600 / 25 * LOG_KB / 1_000_000,
}
SWEEPS: Final = _HOURS * 60
IDLE: Final[
    Usage
] = {  # the sweeper asks 8 shards of 2 states, and counts them; a query that finds nothing is half a unit
    "Lambda calls": SWEEPS,
    "Lambda time (arm64)": SWEEPS * API_SECONDS * 2 * 0.5,
    "DynamoDB reads": SWEEPS * 2 * 16 * 0.5,
    "CloudWatch logs": SWEEPS * LOG_KB / 1_000_000,
}


def dollars(usage: Usage) -> float:
    """Return what a usage costs."""
    return sum(count * PRICES[name].dollars / PRICES[name].per for name, count in usage.items())


def added(usages: Iterable[tuple[float, Usage]]) -> dict[str, float]:
    """Add usages up, each as often as it says."""
    total: dict[str, float] = {}
    for times, usage in usages:
        for name, count in usage.items():
            total[name] = total.get(name, 0) + times * count
    return {name: total[name] for name in PRICES if name in total}


def million_table() -> str:
    """Return what a million tasks cost that are scheduled and emitted."""
    usage = added([(1, ACTIONS["schedule"]), (1, ACTIONS["emit"])])
    rows: list[tuple[object, ...]] = [
        (name, _counted(count, PRICES[name].unit), _money(1_000_000 * dollars({name: count})))
        for name, count in usage.items()
    ]
    extras = [
        ("each first tag", dollars(ACTIONS["first tag"])),
        ("each further tag", dollars(ACTIONS["further tag"])),
        ("each cancel, in place of the emission", dollars(ACTIONS["cancel"]) - dollars(ACTIONS["emit"])),
        ("each https subscriber", dollars(ACTIONS["https delivery"])),
    ]
    rows.append(("**together**", "", f"**{_money(1_000_000 * dollars(usage))}**"))
    rows += [(name, "", f"{'+' if cost > 0 else '-'}{_money(abs(1_000_000 * cost))}") for name, cost in extras]
    return table(("service", "for each task", "a million"), rows)


def example_table() -> str:
    """Return what three million tasks a month cost, a fifth of them cancelled, with two tags and two listeners."""
    tasks, cancelled, listeners = 3_000_000, 600_000, 2
    lines: list[tuple[str, float, Usage]] = [
        (f"{tasks:,} tasks scheduled", tasks, ACTIONS["schedule"]),
        ("with two tags each", tasks, added([(1, ACTIONS["first tag"]), (1, ACTIONS["further tag"])])),
        (f"{cancelled:,} cancelled in time", cancelled, ACTIONS["cancel"]),
        (f"{tasks - cancelled:,} emitted", tasks - cancelled, ACTIONS["emit"]),
        ("and delivered to one https subscriber", tasks - cancelled, ACTIONS["https delivery"]),
        (f"{listeners} listeners that stay on `GET /events`", listeners, LISTENER),
        ("the secret and the sweeper", 1, {**IDLE, "Secrets Manager": 1}),
    ]
    rows: list[tuple[object, ...]] = [(what, _money(times * dollars(usage))) for what, times, usage in lines]
    total = sum(times * dollars(usage) for _, times, usage in lines)
    return table(("what", "a month"), [*rows, ("**together**", f"**{_money(total)}**")])


def idle_table() -> str:
    """Return what a deployment costs in a month in which nothing is scheduled."""
    rows: list[tuple[object, ...]] = [
        ("the secret", _money(dollars({"Secrets Manager": 1}))),
        ("the sweeper, every minute", _money(dollars(IDLE))),
        ("each idle listener on `GET /events`", _money(dollars(LISTENER))),
    ]
    return table(("what", "a month"), rows)


def prices_table() -> str:
    """Return the prices that the tables above go by, each with its source."""
    rows = []
    for name, price in PRICES.items():
        exact = f"{price.dollars:.2f}" if round(price.dollars, 2) == price.dollars else f"{price.dollars:g}"
        per = "1 GB" if price.unit == "GB" else _counted(price.per, price.unit)
        rows.append((name, f"${exact} for {per}", f"[AWS]({price.official})", f"[read here]({price.seen})"))
    return table(("service", "us-east-1", "official page", "source"), rows)


def _counted(count: float, unit: str) -> str:
    if unit == "GB":
        return f"{count * 1_000_000:g} KB"
    if count == 1:
        return f"1 {unit}"
    plural = {"publish": "publishes", "delivery": "deliveries"}.get(unit, f"{unit}s")
    return f"{count:,.0f} {plural}" if count == int(count) else f"{count:g} {plural}"


def _money(amount: float) -> str:
    return f"${amount:,.2f}"
