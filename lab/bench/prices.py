"""List prices of us-east-1 in US dollars, without free tiers: what one unit costs, and where that is written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

CHECKED: Final = "2026-11-22"


@dataclass(frozen=True)
class Price:
    """What one unit costs, and where that is written."""

    unit: str
    dollars: float
    per: int
    page: str
    """On aws.amazon.com."""
    seen: str = ""
    """A copy of the price that could be read when this was checked; empty: the page itself."""

    @property
    def official(self) -> str:
        """The page of AWS."""
        return f"https://aws.amazon.com/{self.page}"


_MILLION: Final = 1_000_000
_ON_DEMAND: Final = ("dynamodb/pricing/on-demand/", "https://airbyte.com/data-engineering-resources/dynamodb-pricing")
_LAMBDA: Final = ("lambda/pricing/", "https://cloudchipr.com/blog/aws-lambda-pricing")
_SNS: Final = (
    "sns/pricing/",
    "https://www.factualminds.com/blog/amazon-sns-pricing-publishes-fanout-protocols/",
)
_SQS: Final = (
    "sqs/pricing/",
    "https://www.factualminds.com/blog/amazon-sqs-pricing-64kb-rule-fifo-vs-standard/",
)
_SECRETS: Final = (
    "secrets-manager/pricing/",
    "https://hivebook.wiki/wiki/aws-secrets-manager-rotated-secrets-dynamic-db-credentials-kms",
)
_WATCH: Final = ("cloudwatch/pricing/", "https://cloudburn.io/blog/amazon-cloudwatch-pricing")
_ALARMS: Final = ("cloudwatch/pricing/", "https://c3x.dev/resources/aws/aws_cloudwatch_metric_alarm")
_REST: Final = (
    "api-gateway/pricing/",
    "https://docs.aws.amazon.com/whitepapers/latest/best-practices-api-gateway-private-apis-integration/cost-optimization.html",
)
PRICES: Final[Mapping[str, Price]] = {
    "Step Functions": Price("state transition", 0.025, 1_000, "step-functions/pricing/"),
    "API Gateway (REST)": Price("request", 3.50, _MILLION, *_REST),
    "DynamoDB writes": Price("write request unit", 0.625, _MILLION, *_ON_DEMAND),
    "DynamoDB reads": Price("read request unit", 0.125, _MILLION, *_ON_DEMAND),
    "DynamoDB storage": Price("GB in a month", 0.25, 1, _ON_DEMAND[0], "https://aws.amazon.com/dynamodb/pricing/"),
    "Lambda calls": Price("call", 0.20, _MILLION, *_LAMBDA),
    "Lambda time (arm64)": Price("GB-second", 13.3334, _MILLION, *_LAMBDA),
    "SNS publishes": Price("publish of 64 KB", 0.50, _MILLION, *_SNS),
    "SNS to https": Price("delivery of 64 KB", 0.60, _MILLION, *_SNS),
    "SQS": Price("request of 64 KB", 0.40, _MILLION, *_SQS),
    "Data out": Price("GB to the internet", 0.09, 1, "ec2/pricing/on-demand/", "https://www.apigatewaycost.com/aws"),
    "Secrets Manager": Price("secret in a month", 0.40, 1, *_SECRETS),
    "Secrets Manager calls": Price("call", 0.05, 10_000, *_SECRETS),
    "CloudWatch logs": Price("GB", 0.50, 1, *_WATCH),
    "CloudWatch alarms": Price("metric of an alarm in a month", 0.10, 1, *_ALARMS),
    "CloudWatch metrics": Price("custom metric in a month", 0.30, 1, *_WATCH),
    "CloudWatch dashboards": Price("dashboard in a month", 3.00, 1, *_WATCH),
}


@dataclass(frozen=True)
class Offer:
    """What others ask for a task, as far as their pages say."""

    name: str
    dollars: float
    """For a million of what is counted."""
    counted: int
    """How often a small task is counted."""
    piece: int | None
    """Bytes beyond which it is counted again, None where that is not so, or not said."""
    words: str
    source: str
    gb_dollars: float = 0
    """For each GB beyond those that are free in a month."""
    free_gb: float = 0

    def million(self, size: int) -> float:
        """Return what a million tasks of so many bytes cost in one month, without those that are free."""
        pieces = -(-size // self.piece) if self.piece else 1
        traffic = max(size * _MILLION / 1e9 - self.free_gb, 0) * self.gb_dollars
        return self.dollars * self.counted * pieces + traffic


OFFERS: Final = (
    Offer(
        "EventBridge Scheduler",
        1.00,
        1,
        None,
        "$1.00 a million invocations, the first 14 million a month free; what it calls is paid beside that",
        "https://cloudburn.io/blog/amazon-eventbridge-pricing",
    ),
    Offer(
        "Cloud Tasks",
        0.40,
        2,
        32 * 1024,
        "$0.40 a million operations, the first million a month free; to add a task is one, to deliver it another, "
        "each 32 KB count anew",
        "https://cloud.google.com/tasks/docs/pricing",
    ),
    Offer(
        "QStash, paid by use",
        10.00,
        1,
        None,
        "$1 for 100,000 messages; 50 GB a month are free, then $0.05 a GB",
        "https://upstash.com/pricing/qstash.md",
        gb_dollars=0.05,
        free_gb=50,
    ),
    Offer(
        "Pipedream's Task Scheduler",
        51.10,
        1,
        None,
        "its own estimate of 2020-08-22 for the AWS part: two transitions, a publish, an https delivery; what "
        "Pipedream itself asks comes on top, and sizes are not in it",
        "https://github.com/PipedreamHQ/pipedream/blob/master/components/aws/sources/new-scheduled-tasks/README.md",
    ),
)
