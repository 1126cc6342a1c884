"""Tables of the costs of the AWS engine, by lab.bench.cost, and of the prices of other services."""

from typing import Final

from docs.markdown import table
from lab.bench.cost import IDLE_METRICS, LARGE, SMALL, Cost, Usage, added, dollars, million
from lab.bench.prices import CHECKED, OFFERS, PRICES

DYNAMODB: Final = "DynamoDB reads"

_small, _large = Cost(SMALL), Cost(LARGE)


def million_table() -> str:
    """Return the costs of a million tasks that are scheduled and emitted, by service."""
    small, large = _small.emitted(), _large.emitted()
    rows: list[tuple[object, ...]] = [
        (
            name,
            _counted(count, PRICES[name].unit),
            _money(million({name: count})),
            _counted(large[name], PRICES[name].unit),
            _money(million({name: large[name]})),
        )
        for name, count in small.items()
    ]
    rows.append(("**total**", "", f"**{_money(million(small))}**", "", f"**{_money(million(large))}**"))
    return table(("service", "for each small task", "a million", "for each of 100 kB", "a million"), rows)


def extras_table() -> str:
    """Return the difference for a million tasks: tags, cancels, changes, subscribers, listeners."""

    def both(what: str, small: float, large: float) -> tuple[object, ...]:
        return (what, _signed(small), _signed(large))

    rows = [
        both("the first tag", million(_small.first_tag()), million(_large.first_tag())),
        both("each further tag", million(_small.further_tag()), million(_large.further_tag())),
        both("each task cancelled in time, in place of its emission", _cancelled(_small), _cancelled(_large)),
        both("each task rescheduled once", million(_small.reschedule()), million(_large.reschedule())),
        both("each task due beyond the arming window", million(_small.park()), million(_large.park())),
        both("each https subscriber", million(_small.https_delivery()), million(_large.https_delivery())),
        both(
            "each listener on `GET /events` that receives events one by one",
            million(_small.streamed()),
            million(_large.streamed()),
        ),
    ]
    return table(("for a million tasks", "small", "100 kB"), rows)


def example_table() -> str:
    """Return the costs of three million tasks a month, a fifth of them cancelled, with two tags and two listeners."""
    tasks, cancelled, listeners = 3_000_000, 600_000, 2
    emitted = tasks - cancelled
    lines: list[tuple[str, float, Usage]] = [
        (f"{tasks:,} tasks scheduled", tasks, _small.schedule()),
        ("with two tags each", tasks, added([(1, _small.first_tag()), (1, _small.further_tag())])),
        (f"{cancelled:,} cancelled in time", cancelled, _small.cancel()),
        (f"{emitted:,} emitted", emitted, _small.emit()),
        ("and delivered to one https subscriber", emitted, _small.https_delivery()),
        (f"{listeners} listeners on `GET /events` all month", listeners, _small.listener()),
        ("the events that these two receive", listeners * emitted, _small.streamed()),
        ("the secret, and one function that reads it", 1, {**_small.environment(), "Secrets Manager": 1}),
        ("the sweeper, every minute", 1, _small.idle()),
        ("polling the recorder's queue, at most", 1, _small.polling()),
        ("alarms, metrics and the dashboard", 1, _small.monitoring()),
    ]
    rows: list[tuple[object, ...]] = [(what, _money(times * dollars(usage))) for what, times, usage in lines]
    total = sum(times * dollars(usage) for _, times, usage in lines)
    return table(("item", "a month"), [*rows, ("**total**", f"**{_money(total)}**")])


def idle_parts() -> list[tuple[str, Usage, str]]:
    """Return the use of a deployment in a month without tasks, with the free tier of each part, if any."""
    watched = _small.monitoring(IDLE_METRICS)
    return [
        ("the secret", {"Secrets Manager": 1}, ""),
        ("the reads of the sweeper, every minute", {DYNAMODB: _small.idle()[DYNAMODB]}, ""),
        (
            "the sweeper itself, and its log",
            {name: count for name, count in _small.idle().items() if name != DYNAMODB},
            "Lambda: a million calls, 400,000 GB-seconds; logs: 5 GB",
        ),
        ("polling the recorder's queue", _small.polling(), "SQS: a million requests"),
        ("alarms", {"CloudWatch alarms": watched["CloudWatch alarms"]}, "CloudWatch: ten metrics of alarms"),
        ("custom metrics", {"CloudWatch metrics": watched["CloudWatch metrics"]}, "CloudWatch: ten"),
        ("the dashboard", {"CloudWatch dashboards": watched["CloudWatch dashboards"]}, "CloudWatch: three"),
    ]


def idle_table() -> str:
    """Return the costs of a deployment in a month without tasks."""
    parts = idle_parts()
    rows: list[tuple[object, ...]] = [(what, _money(dollars(usage)), free) for what, usage, free in parts]
    total = sum(dollars(usage) for _, usage, _ in parts)
    listener = ("each idle listener on `GET /events`", _money(dollars(_small.listener())), "")
    return table(
        ("item", "a month", "free tier of an account"), [*rows, ("**total**", f"**{_money(total)}**", ""), listener]
    )


def offers_table() -> str:
    """Return the costs of a million tasks with other services, compared with ours."""
    ours = (
        "**Task Scheduler on AWS**",
        _money(million(_small.emitted())),
        _money(million(_large.emitted())),
        "counted above",
    )
    rows: list[tuple[object, ...]] = [
        (offer.name, _money(offer.million(SMALL)), _money(offer.million(LARGE)), f"[{offer.words}]({offer.source})")
        for offer in OFFERS
    ]
    machine = ("**Task Scheduler on your machine**", _money(0), _money(0), "[the local engine](local.md)")
    return table(("a million tasks", "small", "100 kB", f"basis, read on {CHECKED}"), [ours, machine, *rows])


def prices_table() -> str:
    """Return the prices that the tables use, each with its source."""
    rows = []
    for name, price in PRICES.items():
        exact = f"{price.dollars:.2f}" if round(price.dollars, 2) == price.dollars else f"{price.dollars:g}"
        per = f"1 {price.unit}" if price.per == 1 else _counted(price.per, price.unit)
        rows.append(
            (name, f"${exact} for {per}", f"[AWS]({price.official})", f"[source]({price.seen or price.official})")
        )
    return table(("service", "us-east-1", "official page", f"read on {CHECKED}"), rows)


def _cancelled(cost: Cost) -> float:
    return million(cost.cancel()) - million(cost.emit())


def _counted(count: float, unit: str) -> str:
    if unit.startswith("GB") and unit != "GB-second":
        return f"{count * 1_000_000:,.3g} KB"
    first, *rest = unit.split(" ")
    if unit.startswith(("state", "write", "read")):
        first, rest = unit, []
    plural = {"publish": "publishes", "delivery": "deliveries"}.get(first, f"{first}s")
    words = " ".join([first if count == 1 else plural, *rest])
    return f"{count:,.0f} {words}" if count == int(count) else f"{count:.4g} {words}"


def _money(amount: float) -> str:
    return f"${amount:,.2f}"


def _signed(amount: float) -> str:
    return f"{'+' if amount > 0 else '-'}{_money(abs(amount))}"
