"""What the function of the API loads before its first request: each module and client there lengthens a cold start."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from lab.bench.aws import environment

ROOT: Final = Path(__file__).resolve().parents[2]
SCRIPT: Final = """
import json, sys
from botocore.session import Session
made, create = [], Session.create_client
Session.create_client = lambda self, name, *given, **named: made.append(name) or create(self, name, *given, **named)
import lambdas.api
print(json.dumps([made, sorted(sys.modules)]))
"""


@pytest.fixture(scope="module")
def start() -> tuple[list[str], set[str]]:
    """The services that clients were made for, and the modules that were loaded."""
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", SCRIPT], cwd=ROOT, env=environment(), capture_output=True, text=True, check=True
    )
    services, modules = json.loads(done.stdout)
    return services, set(modules)


def test_the_api_starts_with_one_client_of_each_service_that_it_calls(start: tuple[list[str], set[str]]) -> None:
    assert sorted(start[0]) == ["dynamodb", "secretsmanager", "stepfunctions"]


@pytest.mark.parametrize(
    "module",
    [
        "asyncio",
        "aws_lambda_powertools.event_handler",
        "boto3",
        "pydantic",
        "starlette",
        "task_scheduler.client",
        "task_scheduler.local",
    ],
)
def test_the_api_starts_without_what_it_does_not_need(start: tuple[list[str], set[str]], module: str) -> None:
    assert module not in start[1]
