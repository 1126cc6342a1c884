"""Runs every minute: starts what is parked, and mends what is overdue."""

from task_scheduler.aws import environment

sweeper = environment.sweeper()


def handler(_event: object, _context: object) -> None:
    """Sweep once."""
    sweeper.sweep()
