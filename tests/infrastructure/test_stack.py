"""What a deployment has and what it says of itself."""

import json
import re
from pathlib import Path
from typing import Final

import pytest

from emulator.corrections.secretsmanager import random_password
from stacks.deployment_file import METADATA
from stacks.settings import Settings
from task_scheduler.aws import schema
from task_scheduler.cdk.recorder import TIMEOUT_SECONDS
from tests.infrastructure.test_subscribers import EMAIL, FUNCTION, HTTPS, QUEUE
from tests.support.synthesis import ROOT, Synthesis, synthesise

OUTPUTS: Final = {"ApiUrl", "TopicArn", "StateMachineArn", "SecretArn"}
API_GATEWAY_TIMEOUT_S: Final = 29


def environment(stack: Synthesis, function: str) -> dict[str, str]:
    [found] = stack.resources("Lambda::Function", under=function)
    return {name: stack.text(value) for name, value in found.properties["Environment"]["Variables"].items()}


def test_a_deployment_says_what_people_need_of_it(stack: Synthesis) -> None:
    outputs = stack.template["Outputs"]
    assert outputs.keys() == OUTPUTS
    assert all(output["Description"] for output in outputs.values())
    url = "https://<Api/Rest>.execute-api.<AWS::Region>.<AWS::URLSuffix>/<Api/Rest/DeploymentStage.v1>/"
    assert stack.text(outputs["ApiUrl"]["Value"]) == url
    assert stack.text(outputs["TopicArn"]["Value"]) == "<Delivery/Topic>"
    assert stack.text(outputs["StateMachineArn"]["Value"]) == "<Timer/StateMachine>"
    assert stack.text(outputs["SecretArn"]["Value"]) == "<Secret/Value>"


def test_generated_secrets_are_accepted_by_secrets_manager_and_need_no_quoting(
    stack: Synthesis, other_stack: Synthesis
) -> None:
    """By the rules of Secrets Manager as the emulator has them: emulator/corrections/secretsmanager.py."""
    for one in (stack, other_stack):
        for secret in one.resources("SecretsManager::Secret"):
            assert "SecretString" not in secret.properties, "a template must not hold it"
            password = random_password(secret.properties["GenerateSecretString"])
            assert re.fullmatch(r"[A-Za-z0-9]{40}", password)
    assert not stack.warnings


def test_without_a_secret_there_is_none_and_a_warning(open_stack: Synthesis) -> None:
    assert not open_stack.resources("SecretsManager::Secret")
    assert open_stack.template["Outputs"].keys() == OUTPUTS - {"SecretArn"}
    assert schema.SECRET_ARN not in environment(open_stack, "Api/Function")
    [warning] = open_stack.warnings
    assert "anyone who knows the URL of TaskScheduler may schedule and cancel" in warning


@pytest.mark.parametrize("function", ["Api/Function", "Api/Stream", "Recorder/Function", "Sweeper/Function"])
def test_the_functions_know_where_everything_is(stack: Synthesis, function: str) -> None:
    found = environment(stack, function)
    ours = {name: value for name, value in found.items() if not name.startswith("POWERTOOLS_")}
    assert ours == {
        schema.TASKS_TABLE: "<Registry/Tasks>",
        schema.EVENTS_TABLE: "<EventLog/Events>",
        schema.STATE_MACHINE_ARN: "<Timer/StateMachine>",
        schema.SECRET_ARN: "<Secret/Value>",
        schema.ARMING_WINDOW_DAYS: "1.0",
        schema.TASK_RETENTION_DAYS: "30",
        schema.EVENT_RETENTION_DAYS: "7",
    }


def test_the_functions_get_what_the_settings_say(other_stack: Synthesis) -> None:
    found = environment(other_stack, "Sweeper/Function")
    assert found[schema.ARMING_WINDOW_DAYS] == "0.5"
    assert found[schema.TASK_RETENTION_DAYS] == "60"
    assert found[schema.EVENT_RETENTION_DAYS] == "14"


def test_all_functions_run_on_the_same_python_on_arm_and_log_json(stack: Synthesis) -> None:
    for function in stack.resources("Lambda::Function"):
        assert function.properties["Runtime"] == "python3.13"
        assert function.properties["Architectures"] == ["arm64"]
        assert function.properties["LoggingConfig"]["LogFormat"] == "JSON"


def test_each_handler_is_in_the_file_that_its_name_says(stack: Synthesis) -> None:
    handlers = {function.properties["Handler"] for function in stack.resources("Lambda::Function")}
    assert handlers == {f"lambdas.{name}.handler" for name in ("api", "stream", "recorder", "sweeper")}
    for handler in handlers:
        _, module, _ = handler.split(".")
        assert (ROOT / "lambdas" / f"{module}.py").is_file()


def test_no_function_outlives_who_waits_for_it(stack: Synthesis) -> None:
    for function in stack.resources("Lambda::Function", under="Api/"):
        assert function.properties["Timeout"] <= API_GATEWAY_TIMEOUT_S
    [sweeper] = stack.resources("Lambda::Function", under="Sweeper/")
    assert sweeper.properties["Timeout"] < 60
    assert stack.resource("Events::Rule").properties["ScheduleExpression"] == "rate(1 minute)"


def test_each_log_has_an_end_and_goes_with_the_stack(stack: Synthesis, other_stack: Synthesis) -> None:
    assert len(stack.resources("Logs::LogGroup")) == len(stack.resources("Lambda::Function")) + 1
    for log_group in stack.resources("Logs::LogGroup"):
        assert log_group.properties["RetentionInDays"] == 30
        assert log_group.whole["DeletionPolicy"] == "Delete"
    for log_group in other_stack.resources("Logs::LogGroup"):
        assert log_group.properties["RetentionInDays"] == 7


def test_each_function_writes_into_a_log_of_its_own(stack: Synthesis) -> None:
    used = [
        stack.text(function.properties["LoggingConfig"]["LogGroup"]) for function in stack.resources("Lambda::Function")
    ]
    assert len(set(used)) == len(used)


def test_the_tasks_are_found_by_id_and_by_state_and_due_time(stack: Synthesis) -> None:
    table = stack.resource("DynamoDB::Table", under="Registry/").properties
    assert [key["AttributeName"] for key in table["KeySchema"]] == [schema.TASK_ID]
    [index] = table["GlobalSecondaryIndexes"]
    assert index["IndexName"] == schema.BY_DUE
    assert [key["AttributeName"] for key in index["KeySchema"]] == [schema.BUCKET, schema.DUE_ID]
    assert index["Projection"] == {"ProjectionType": "KEYS_ONLY"}
    assert {one["AttributeType"] for one in table["AttributeDefinitions"]} == {"S"}


def test_the_events_are_found_by_page_and_sequence(stack: Synthesis) -> None:
    table = stack.resource("DynamoDB::Table", under="EventLog/").properties
    assert [key["AttributeName"] for key in table["KeySchema"]] == [schema.PAGE, schema.SEQUENCE]
    assert {one["AttributeType"] for one in table["AttributeDefinitions"]} == {"N"}
    assert "GlobalSecondaryIndexes" not in table


def test_tables_are_paid_by_the_request_and_forget_what_has_expired(stack: Synthesis) -> None:
    for table in stack.resources("DynamoDB::Table"):
        assert table.properties["BillingMode"] == "PAY_PER_REQUEST"
        assert table.properties["TimeToLiveSpecification"] == {
            "AttributeName": schema.EXPIRES_AT,
            "Enabled": True,
        }


def test_tables_outlive_the_stack_but_not_a_failed_creation_and_are_easy_to_delete(stack: Synthesis) -> None:
    for table in stack.resources("DynamoDB::Table"):
        assert table.whole["DeletionPolicy"] == "RetainExceptOnCreate"
        assert table.whole["UpdateReplacePolicy"] == "Retain"
        assert table.properties["DeletionProtectionEnabled"] is False
        assert table.properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": False}


def test_tables_in_production_can_be_restored_and_cannot_be_deleted(other_stack: Synthesis) -> None:
    for table in other_stack.resources("DynamoDB::Table"):
        assert table.properties["DeletionProtectionEnabled"] is True
        assert table.properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


def test_no_other_resource_outlives_the_stack(stack: Synthesis, other_stack: Synthesis) -> None:
    for one in (stack, other_stack):
        kept = {
            resource["Type"]
            for resource in one.template["Resources"].values()
            if resource.get("DeletionPolicy", "Delete") != "Delete"
        }
        assert kept <= {"AWS::DynamoDB::Table"}


def test_an_invocation_of_the_sweeper_is_neither_kept_nor_repeated(stack: Synthesis) -> None:
    """Neither by Lambda nor by EventBridge, which would do so for hours and start all of them at once."""
    asynchronous = stack.resource("Lambda::EventInvokeConfig").properties
    assert stack.text(asynchronous["FunctionName"]) == "<Sweeper/Function>"
    assert asynchronous["Qualifier"] == "$LATEST"
    [target] = stack.resource("Events::Rule").properties["Targets"]
    for policy in (asynchronous, target["RetryPolicy"]):
        assert (policy["MaximumEventAgeInSeconds"], policy["MaximumRetryAttempts"]) == (60, 0)


def test_a_template_records_the_settings_that_differ_from_their_defaults(
    stack: Synthesis, other_stack: Synthesis
) -> None:
    assert stack.template["Metadata"][METADATA] == "{}"
    recorded = json.loads(other_stack.template["Metadata"][METADATA])
    assert recorded["subscribers"] == [HTTPS, EMAIL, QUEUE, FUNCTION]
    assert Settings.of(recorded).changed() == recorded | {"subscribers": (HTTPS, EMAIL, QUEUE, FUNCTION)}


def test_settings_that_change_no_property_change_the_metadata_of_a_resource(tmp_path: Path) -> None:
    """CloudFormation updates no stack whose Metadata section alone has changed, so they would not be recorded."""
    one, other = (
        synthesise(tmp_path / str(kept), Settings(production=True, keep_tables=kept)).template["Resources"]
        for kept in (True, False)
    )
    [changed] = [name for name in one if one[name] != other[name]]
    assert {**one[changed], "Metadata": {}} == {**other[changed], "Metadata": {}}


def test_the_recorder_gets_each_event_as_it_was_published(stack: Synthesis) -> None:
    subscription = stack.resource("SNS::Subscription").properties
    assert subscription["Protocol"] == "sqs"
    assert subscription["RawMessageDelivery"] is True
    assert stack.text(subscription["TopicArn"]) == "<Delivery/Topic>"
    assert stack.text(subscription["Endpoint"]) == "<Recorder/Events.Arn>"


def test_what_cannot_be_recorded_does_not_hold_up_the_rest_and_is_kept(stack: Synthesis) -> None:
    mapping = stack.resource("Lambda::EventSourceMapping").properties
    assert mapping["BatchSize"] == 10
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    [queue] = [one for one in stack.resources("SQS::Queue") if "RedrivePolicy" in one.properties]
    assert queue.path == "Recorder/Events"
    redrive = queue.properties["RedrivePolicy"]
    assert stack.text(redrive["deadLetterTargetArn"]) == "<Recorder/DeadLetters.Arn>"
    assert queue.properties["VisibilityTimeout"] == 6 * TIMEOUT_SECONDS
    for each in stack.resources("SQS::Queue"):
        assert each.properties["MessageRetentionPeriod"] == 14 * 86_400


def test_two_stacks_have_no_name_in_common(stack: Synthesis, other_stack: Synthesis) -> None:
    """Each name that we give has the name of the stack in it, and iam-policy.json counts on that."""
    named = {"StateMachineName", "LogGroupName", "Name"}
    for one in (stack, other_stack):
        for kind in ("StepFunctions::StateMachine", "Logs::LogGroup", "SecretsManager::Secret"):
            for resource in one.resources(kind):
                for name in named & resource.properties.keys():
                    assert "<AWS::StackName>" in one.text(resource.properties[name])
