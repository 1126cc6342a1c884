"""Runs the command line as `python -m task_scheduler.cli`."""

from task_scheduler.cli.main import main

main()
