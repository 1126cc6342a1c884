"""What the function of the API takes to start, and how large its asset is."""

import compileall
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from lab.bench.report import Row, machine, shown
from task_scheduler.aws import schema
from task_scheduler.cdk.bundle import bundle

_FUNCTION: Final = "import lambdas.api"
_BARE: Final = "import boto3; boto3.client('dynamodb')"


def run(*, rounds: int, quick: bool) -> str:
    """Start the function from its asset: compiled, and as Lambda finds it, which keeps no bytecode of an asset."""
    runs: dict[str, list[float]] = {"bare": [], "compiled": [], "plain": []}
    with TemporaryDirectory(prefix="task-scheduler-bench-") as name:
        plain, compiled = Path(name, "plain"), Path(name, "compiled")
        bundle(plain)
        bundle(compiled)
        compileall.compile_dir(compiled, quiet=1)
        size = Path(shutil.make_archive(str(Path(name, "asset")), "zip", plain)).stat().st_size
        for _ in range(1 if quick else rounds):
            runs["bare"].append(_cpu_ms(_BARE, plain))
            runs["compiled"].append(_cpu_ms(_FUNCTION, compiled))
            runs["plain"].append(_cpu_ms(_FUNCTION, plain, "-B"))
    rows = [
        Row("start-up of `api`, CPU", "ms", runs["compiled"], runs["bare"], "1.3 of it at most"),
        Row("the same, the asset not compiled", "ms", runs["plain"], runs["bare"]),
        Row("the asset, zipped", "MB", [size / 1_000_000], to_reach="5 MB at most"),
    ]
    return f"{shown(rows, other='boto3 and one client')}\n\n{machine(['boto3', 'aws-lambda-powertools'])}"


def _cpu_ms(code: str, folder: Path, *flags: str) -> float:
    """Return the milliseconds of CPU that a new interpreter takes to run this code in a folder."""
    process = subprocess.Popen([sys.executable, *flags, "-c", code], cwd=folder, env=environment())  # noqa: S603 - our own code
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{code!r} ended with {process.returncode}.")
    return (usage.ru_utime + usage.ru_stime) * 1000


def environment() -> Mapping[str, str]:
    """Return the variables of a function as the stack sets them, with credentials of no account."""
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
    }
