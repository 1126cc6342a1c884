"""What the functions find around them: the variables that the stack sets, and no account that could be reached."""

import os
from collections.abc import Mapping
from typing import Final

from task_scheduler.aws import schema

SECRET: Final = "the-configured-secret"  # noqa: S105 - of nothing


def environment(**more: str) -> Mapping[str, str]:
    """Return an environment made anew for a function in a process of its own."""
    region = "us-east-1"
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nobody",
        "AWS_SESSION_TOKEN": "nobody",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "POWERTOOLS_SERVICE_NAME": "task-scheduler",
        "POWERTOOLS_METRICS_NAMESPACE": "TaskScheduler",
        schema.TASKS_TABLE: "TaskScheduler-TableTasks0000-000000000000",
        schema.EVENTS_TABLE: "TaskScheduler-TableEvents000-000000000000",
        schema.STATE_MACHINE_ARN: f"arn:aws:states:{region}:000000000000:stateMachine:TaskScheduler-timer",
        schema.SECRET_ARN: f"arn:aws:secretsmanager:{region}:000000000000:secret:Secret-000000",
        schema.ARMING_WINDOW_DAYS: "360",
        schema.TASK_RETENTION_DAYS: "30",
        schema.EVENT_RETENTION_DAYS: "7",
        **more,
    }
