"""The AWS engine beside the bare calls."""


def run(*, rounds: int, quick: bool) -> dict[str, str]:
    """Measure, and return the parts of the page."""
    from lab.bench.aws.figures import figures  # noqa: PLC0415 - processes that are measured import this, but no emulator

    return figures(rounds=rounds, quick=quick)
