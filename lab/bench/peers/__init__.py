"""The local engine beside others of its kind, doing the same work on the same machine.

The peers import this package in an environment of their own, `.venv-peers`: what is here imports nothing for them.
"""


def run(*, rounds: int, quick: bool) -> dict[str, str]:
    """Measure all that are there, and return the table; takes some minutes for each."""
    from lab.bench.peers.runner import run as measured  # noqa: PLC0415 - of our environment, not of the peers'

    return measured(rounds=rounds, quick=quick)
