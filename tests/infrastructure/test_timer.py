"""The state machine of the template: what a task costs, and how long it holds out."""

import json
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from emulator.tools import NODE, ROOT
from task_scheduler.aws import schema
from tests.support.synthesis import Synthesis

ASL_VALIDATOR: Final = ROOT / "node_modules" / ".bin" / "asl-validator"


def happy_path(definition: dict[str, Any]) -> list[str]:
    """Return the states from the start to the end; entering each is a transition that is paid for."""
    path = [definition["StartAt"]]
    while following := definition["States"][path[-1]].get("Next"):
        path.append(following)
    assert definition["States"][path[-1]]["End"] is True
    return path


def pauses(retry: dict[str, Any]) -> list[float]:
    """Return the longest pause before each attempt, in seconds."""
    return [
        min(retry["IntervalSeconds"] * retry["BackoffRate"] ** attempt, retry["MaxDelaySeconds"])
        for attempt in range(retry["MaxAttempts"])
    ]


def test_a_task_costs_two_transitions(stack: Synthesis) -> None:
    definition = stack.definition()
    assert happy_path(definition) == [schema.WAIT_UNTIL_DUE, schema.PUBLISH_MESSAGE]
    assert definition["States"].keys() == {schema.WAIT_UNTIL_DUE, schema.PUBLISH_MESSAGE}


def test_the_states_read_the_fields_that_the_functions_write(stack: Synthesis) -> None:
    wait, publish = stack.definition()["States"].values()
    assert wait["TimestampPath"] == f"$.{schema.WAIT_UNTIL}"
    assert publish["Parameters"] == {
        "TopicArn": "<Delivery/Topic>",
        "Message.$": f"$.{schema.EVENT}",
        "MessageAttributes.$": f"$.{schema.ATTRIBUTES}",
    }


def test_a_publish_is_tried_again_whatever_went_wrong(stack: Synthesis) -> None:
    [retry] = stack.definition()["States"][schema.PUBLISH_MESSAGE]["Retry"]
    assert retry["ErrorEquals"] == ["States.ALL"]


def test_a_publish_is_tried_soon_then_seldom_and_for_hours(stack: Synthesis) -> None:
    [retry] = stack.definition()["States"][schema.PUBLISH_MESSAGE]["Retry"]
    waits = pauses(retry)
    assert waits[0] <= 1
    assert all(earlier <= later for earlier, later in pairwise(waits))
    assert waits[-1] <= 300, "a task may be late by more than five minutes after an outage"
    assert retry["JitterStrategy"] == "FULL"
    assert sum(waits) / 2 > 3 * 3600, "half of the longest, as each pause is shortened at random"


def test_a_wait_and_its_retries_end_within_the_year_that_an_execution_may_live(
    stack: Synthesis,
) -> None:
    [window] = {
        float(function.properties["Environment"]["Variables"][schema.ARMING_WINDOW_DAYS])
        for function in stack.resources("Lambda::Function")
    }
    [retry] = stack.definition()["States"][schema.PUBLISH_MESSAGE]["Retry"]
    assert window + sum(pauses(retry)) / 86_400 < 365


def test_the_log_of_executions_holds_errors_and_no_messages(stack: Synthesis) -> None:
    logging = stack.resource("StepFunctions::StateMachine").properties["LoggingConfiguration"]
    assert logging["Level"] == "ERROR"
    assert logging["IncludeExecutionData"] is False


def test_the_definition_is_valid_amazon_states_language(stack: Synthesis, tmp_path: Path) -> None:
    definition = stack.definition(
        {"AWS::Partition": "aws", "Delivery/Topic": "arn:aws:sns:us-east-1:000000000000:topic"}
    )
    path = tmp_path / "definition.json"
    path.write_text(json.dumps(definition))
    done = subprocess.run(  # noqa: S603 - our own command
        [NODE, ASL_VALIDATOR, "--json-path", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
