"""Promises that outlive an accident, on the deployed stack: its timers are lost, its topic is gone."""

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest

import emulator
from stacks.settings import Settings
from tests.infrastructure.inventory import BEHIND_S
from tests.support.api import Accepted, Api, Deployment
from tests.support.clock import eventually, now_ms
from tests.support.synthesis import ROOT, shared_synthesis

pytestmark = pytest.mark.emulator

TASKS: Final = 50
WINDOW_S: Final = 16
MINUTES_S: Final = 240  # four sweeps
RETRIED_S: Final = 40
SWEEP_S: Final = 60
FILTER: Final = '{"user": ["42"]}'


@dataclass(frozen=True)
class Stack:
    """A deployment, and a client of its API."""

    deployment: emulator.Deployment
    api: Api

    def schedule(self, *, seconds: Sequence[float]) -> list[Accepted]:
        """Schedule a task for each time from now, all in one request."""
        results = self.api.schedule_batch([{"in": each, "message": f"in {each} s"} for each in seconds])
        assert {result["status"] for result in results} == {200}
        return [self.api.ledger.accepted[result["id"]] for result in results]

    def emissions(self, *tasks: Accepted) -> dict[str, list[int]]:
        """Return when each of the tasks was emitted, in ms, as often as the log has it; others are left out."""
        found = defaultdict(list)
        wanted = {task.id for task in tasks}
        for envelope in self.api.send("GET", "/events?after=0&limit=1000").body["events"]:
            if envelope["metadata"]["id"] in wanted:
                found[envelope["metadata"]["id"]].append(envelope["metadata"]["ts"])
        return found

    def wait_for(self, *tasks: Accepted, seconds: float) -> dict[str, int]:
        """Return how late each task was emitted, in ms, when all are in the log; each is there once."""
        eventually(lambda: len(self.emissions(*tasks)) == len(tasks), within=seconds, every=1)
        emissions = self.emissions(*tasks)
        assert {len(times) for times in emissions.values()} == {1}, "a task is in the log twice"
        return {task.id: emissions[task.id][0] - task.due_ms for task in tasks}

    def execution(self, task: Accepted) -> str | None:
        """Return the status of a task's first execution, as it was a moment ago; None if it had none."""
        client = self.deployment.client("stepfunctions")
        prefix = self.deployment.outputs["StateMachineArn"].replace(":stateMachine:", ":execution:")
        try:
            return str(client.describe_execution(executionArn=f"{prefix}:{task.id}-1")["status"])
        except client.exceptions.ExecutionDoesNotExist:
            return None

    def sweep(self) -> None:
        """Sweep now, as the rule does every minute."""
        answer = self.deployment.client("lambda").invoke(FunctionName=self._sweeper()["FunctionName"], Payload=b"{}")
        said = answer["Payload"].read()  # in any case: a connection with something left to read is not used again
        assert "FunctionError" not in answer, said

    def metrics(self) -> list[dict[str, Any]]:
        """Return what the sweeper has counted, as it wrote it for CloudWatch."""
        group = self._sweeper()["LoggingConfig"]["LogGroup"]
        lines = self.deployment.client("logs").filter_log_events(logGroupName=group)["events"]
        return [json.loads(line["message"]) for line in lines if '"_aws"' in line["message"]]

    @contextmanager
    def without_topic(self) -> Iterator[None]:
        """Take the topic away for a while, as the emulator publishes whatever the topic's policy says."""
        sns = self.deployment.client("sns")
        topic = self.deployment.outputs["TopicArn"]
        subscriptions = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        attributes = [
            sns.get_subscription_attributes(SubscriptionArn=one["SubscriptionArn"])["Attributes"]
            for one in subscriptions
        ]
        sns.delete_topic(TopicArn=topic)
        try:
            yield
        finally:
            sns.create_topic(Name=topic.rpartition(":")[2])
            for one, given in zip(subscriptions, attributes, strict=True):
                kept = {name: given[name] for name in ("RawMessageDelivery", "FilterPolicy") if name in given}
                sns.subscribe(TopicArn=topic, Protocol=one["Protocol"], Endpoint=one["Endpoint"], Attributes=kept)

    def _sweeper(self) -> dict[str, Any]:
        functions = self.deployment.client("lambda").list_functions()["Functions"]
        mine = f"{self.deployment.stack}-SweeperFunction"
        [found] = [one for one in functions if one["FunctionName"].startswith(mine)]
        return dict(found)


@contextmanager
def connected(deployment: emulator.Deployment) -> Iterator[Stack]:
    api = Api(Deployment(deployment.url, None, "emulator"))
    with closing(api.http):
        yield Stack(deployment, api)


@pytest.fixture(scope="module", autouse=True)
def restarted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, list[Accepted]]]:
    """A deployment that was restarted while tasks waited; by its own clock it mends itself during the other tests."""
    assembly = shared_synthesis(tmp_path_factory, Settings(secret=False)).folder
    with emulator.deployed(assembly=assembly) as deployment:
        with connected(deployment) as stack:
            tasks = stack.schedule(seconds=[20 + number / TASKS for number in range(TASKS)])
        assert now_ms() < tasks[0].due_ms
        deployment.emulator.restart()
        with connected(deployment) as stack:
            yield stack, tasks


@pytest.fixture(scope="module")
def stack(restarted: tuple[Stack, list[Accepted]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Another stack beside it, that starts the timers of the next seconds only."""
    settings = Settings(stack="TaskSchedulerWindow", secret=False, arming_window_days=WINDOW_S / 86_400)
    assembly = shared_synthesis(tmp_path_factory, settings).folder
    with connected(restarted[0].deployment.create(assembly)) as stack:
        yield stack


def test_a_task_beyond_the_arming_window_waits_without_an_execution_and_is_in_time(stack: Stack) -> None:
    task = stack.api.schedule({"in": WINDOW_S + 15, "message": "far"})
    stack.sweep()
    assert now_ms() < task.due_ms - WINDOW_S * 1000
    assert stack.execution(task) is None
    assert stack.api.task(task.id)["status"] == "scheduled"
    time.sleep(max(0, (task.due_ms - now_ms()) / 1000 - WINDOW_S + 1))
    stack.sweep()
    eventually(lambda: stack.execution(task) == "RUNNING", within=BEHIND_S)
    late = stack.wait_for(task, seconds=WINDOW_S + 10)
    assert 0 <= late[task.id] < 5_000


def test_tasks_that_fall_due_while_the_topic_is_gone_are_emitted_when_it_is_back(stack: Stack) -> None:
    tasks = stack.schedule(seconds=[12 + number / 10 for number in range(20)])
    with stack.without_topic():
        assert now_ms() < tasks[0].due_ms
        time.sleep(max(0, (tasks[-1].due_ms - now_ms()) / 1000 + 3))
        assert stack.emissions(*tasks) == {}
        assert {stack.api.task(task.id)["status"] for task in tasks} == {"scheduled"}
    late = stack.wait_for(*tasks, seconds=RETRIED_S)
    assert min(late.values()) > 0
    assert {stack.api.task(task.id)["status"] for task in tasks} == {"emitted"}


def test_a_filter_policy_chooses_by_a_tag(stack: Stack) -> None:
    """The policy is the one of docs/aws-subscribers.md."""
    assert json.dumps(FILTER)[1:-1] in (ROOT / "docs" / "aws-subscribers.md").read_text()
    sqs = stack.deployment.client("sqs")
    queue = sqs.create_queue(QueueName="of-user-42")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    stack.deployment.client("sns").subscribe(
        TopicArn=stack.deployment.outputs["TopicArn"],
        Protocol="sqs",
        Endpoint=arn,
        Attributes={"RawMessageDelivery": "true", "FilterPolicy": FILTER},
    )
    bodies = [{"in": 0, "message": "hello", "tags": tags} for tags in ({"user": "42", "a": "b"}, {"user": "43"}, {})]
    tasks = [stack.api.schedule(body) for body in bodies]
    stack.wait_for(*tasks, seconds=RETRIED_S)
    received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"])["Messages"]
    assert [json.loads(message["Body"])["id"] for message in received] == [tasks[0].id]
    attributes = received[0]["MessageAttributes"]
    assert {name: value["StringValue"] for name, value in attributes.items()} == {"user": "42", "a": "b"}


def test_tasks_whose_timers_were_lost_in_a_restart_are_emitted_by_the_sweeper(
    restarted: tuple[Stack, list[Accepted]],
) -> None:
    """Within two minutes if nothing is slow, which tests/aws shows by a clock; here sweeps compete with other tests."""
    stack, tasks = restarted
    eventually(lambda: {stack.execution(task) for task in tasks} == {"FAILED"}, within=RETRIED_S)
    late = stack.wait_for(*tasks, seconds=MINUTES_S)
    assert min(late.values()) >= 0
    assert {stack.api.task(task.id)["status"] for task in tasks} == {"emitted"}
    eventually(lambda: sum(metrics["rearmed"][0] for metrics in stack.metrics()) >= TASKS, within=SWEEP_S, every=1)


def test_the_alarms_watch_what_the_sweeper_writes(stack: Stack) -> None:
    stack.sweep()
    metrics = stack.metrics()[-1]
    [written] = metrics["_aws"]["CloudWatchMetrics"]
    alarms = stack.deployment.client("cloudwatch").describe_alarms()["MetricAlarms"]
    mine = [alarm for alarm in alarms if alarm["AlarmName"].startswith(f"{stack.deployment.stack}-")]
    watched = [alarm for alarm in mine if alarm.get("Namespace") == written["Namespace"]]
    assert {alarm["MetricName"] for alarm in watched} == {"failed", "overdue", "throttled"}
    for alarm in (one for one in watched if one["MetricName"] != "throttled"):  # that is written when there is any
        assert alarm["MetricName"] in {metric["Name"] for metric in written["Metrics"]}
        assert alarm["MetricName"] in metrics
        assert [{one["Name"] for one in alarm["Dimensions"]}] == [set(names) for names in written["Dimensions"]]
        assert all(metrics[one["Name"]] == one["Value"] for one in alarm["Dimensions"])
