"""A deployment whose IAM is enforced, where single permissions can be taken away, and tasks be put in any state."""

import json
import ssl
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import boto3
import httpx
from botocore.config import Config

import emulator
from emulator.tools import REGION
from task_scheduler.aws.event_log import SEAL_AFTER_MS, EventLog
from task_scheduler.aws.executions import ExecutionTimer, Stop
from task_scheduler.aws.schema import ATTRIBUTES, EVENT, WAIT_UNTIL
from task_scheduler.aws.task_store import StoredState, StoredTask, TaskStore
from task_scheduler.task import Task, new_task
from task_scheduler.timestamps import format as text_of
from tests.infrastructure.inventory import BEHIND_S
from tests.infrastructure.permissions import Call
from tests.support.clock import eventually, now_ms
from tests.support.synthesis import Synthesis, singles

PAST: Final = "2020-08-21T04:29:00Z"
MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
NO_TAGS: Final[Mapping[str, str]] = {}


@dataclass(frozen=True)
class Laboratory:
    """A deployment; what is arranged here is arranged with the rights of the account's root user."""

    deployment: emulator.Deployment
    http: httpx.Client

    @cached_property
    def stack(self) -> Synthesis:
        """The template that was deployed."""
        body = self.client("cloudformation").get_template(StackName="TaskScheduler")["TemplateBody"]
        return Synthesis(Path(), json.loads(body) if isinstance(body, str) else body, ())

    @cached_property
    def tasks_table(self) -> str:
        return self.physical("DynamoDB::Table", "Registry/")

    @cached_property
    def task_store(self) -> TaskStore:
        return TaskStore(self.client("dynamodb"), self.tasks_table, retention_days=1)

    @cached_property
    def log(self) -> EventLog:
        table = self.physical("DynamoDB::Table", "EventLog/")
        return EventLog(self.client("dynamodb"), table, self.tasks_table, retention_days=1, now_ms=now_ms)

    def seal_gaps(self) -> None:
        """Read the whole event log: two recorders of one message use up a number, and the first reader seals it."""
        time.sleep(SEAL_AFTER_MS / 1000 + 0.5)
        position = 0
        while events := self.log.events(after=position, limit=1000):
            position = events[-1].sequence

    @cached_property
    def timer(self) -> ExecutionTimer:
        return ExecutionTimer(self.client("stepfunctions"), self.machine)

    @property
    def machine(self) -> str:
        return self.deployment.outputs["StateMachineArn"]

    def client(self, service: str) -> Any:  # noqa: ANN401 - each service has a client of its own
        return self.deployment.client(service)

    def session(self, access_key: str, secret_key: str, token: str | None = None) -> Callable[[str], Any]:
        """Return what makes clients with these credentials; a call that fails is not tried again."""
        session = boto3.Session(access_key, secret_key, token, REGION)
        endpoint, trust = self.deployment.endpoint, str(self.deployment.authority)
        once = Config(retries={"total_max_attempts": 1})
        return lambda service: session.client(service, endpoint_url=endpoint, verify=trust, config=once)  # type: ignore[call-overload]  # the name is not a literal

    def physical(self, kind: str, under: str) -> str:
        """Return the physical id of the only resource of a type in a part of the stack."""
        name = self.stack.resource(kind, under=under).name
        return self._physical_ids[name]

    @cached_property
    def _physical_ids(self) -> Mapping[str, str]:
        resources = self.client("cloudformation").describe_stack_resources(StackName="TaskScheduler")
        return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in resources["StackResources"]}

    def invoke(self, function: str, event: object = None) -> Any:  # noqa: ANN401 - what the function answers
        """Call a function; returns None where it fails."""
        name = self.physical("Lambda::Function", function)
        answer = self.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event or {}))
        result = json.loads(answer["Payload"].read() or b"null")
        return None if "FunctionError" in answer else result or {}

    def forget(self, role: str) -> None:
        """Have the function of a role begin anew, without the secret that it has cached."""
        name = self.physical("Lambda::Function", role.removesuffix("Role"))
        update = self.client("lambda").update_function_configuration
        update(
            FunctionName=name,
            MemorySize=self.client("lambda").get_function_configuration(FunctionName=name)["MemorySize"],
        )

    @contextmanager
    def without(self, role: str, call: Call) -> Iterator[None]:
        """Take one permission of a role away for a while, and nothing else."""
        iam = self.client("iam")
        name = self.physical("IAM::Role", role)
        [policy] = iam.list_role_policies(RoleName=name)["PolicyNames"]
        document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        [written] = self.stack.resources("IAM::Policy", under=role)
        single = dict(zip(self.stack.calls(written), singles(document), strict=True))
        rest = [statement for one, statement in single.items() if one != call]
        assert len(rest) == len(single) - 1

        def put(what: Mapping[str, Any]) -> None:
            iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(what))
            if call[0] == "secretsmanager:GetSecretValue":
                self.forget(role)

        put(document | {"Statement": rest})
        try:
            yield
        finally:
            put(document)

    def task(
        self,
        state: StoredState = StoredState.SCHEDULED,
        *,
        in_ms: int = HOUR_MS,
        tags: Mapping[str, str] = NO_TAGS,
        size: int = 0,
    ) -> Task:
        """Put a task into the table, with no timer, as if it had been made when it was due or just now."""
        due_ms = now_ms() + in_ms
        body = {"timestamp": text_of(due_ms), "message": "of the laboratory", "more": "x" * size, "tags": dict(tags)}
        task = new_task(body, task_id=str(uuid.uuid4()), now_ms=min(due_ms, now_ms()))
        assert self.task_store.put(task, state)
        return task

    def waiting(self, *, tags: Mapping[str, str] = NO_TAGS) -> Task:
        """Put a task that waits into the table, and start its timer."""
        task = self.task(tags=tags)
        self.timer.start(task)
        return task

    def published(self, *, in_ms: int) -> Task:
        """Put a task into the table whose timer has published, of which the recorder does not know."""
        task = self.task(in_ms=in_ms)
        self.publish(f"{task.id}-1")
        eventually(lambda: self.execution(task) == "SUCCEEDED", within=30)
        return task

    def publish(self, name: str) -> str:
        """Start an execution that publishes at once what the recorder will leave alone; returns its ARN."""
        given = {WAIT_UNTIL: PAST, EVENT: '"none of ours"', ATTRIBUTES: {}}
        start = self.client("stepfunctions").start_execution
        return str(start(stateMachineArn=self.machine, name=name, input=json.dumps(given))["executionArn"])

    def ended(self) -> Task:
        """Put a task into the table whose timer was stopped at the last moment: it might have published."""
        task = self.task(in_ms=0)
        self.timer.start(task, not_before_ms=task.due_ms // 1000 * 1000 + HOUR_MS)
        assert self.timer.stop(task, now_ms=now_ms()) is Stop.STOPPED
        return task

    def given_up(self) -> Task:
        """Put a task into the table that is late by days, and whose timers have died again and again."""
        task = self.task(in_ms=-48 * HOUR_MS)
        for _ in range(5):
            assert self.task_store.rearm(self.record(task))
        return self.aborted(task)

    def aborted(self, task: Task) -> Task:
        """Start the timer of the present revision of a task, and end it while it waits."""
        present = self.record(task).task
        self.timer.start(present, not_before_ms=now_ms() // 1000 * 1000 + HOUR_MS)
        arn = f"{self.machine.replace(':stateMachine:', ':execution:')}:{task.id}-{present.revision}"
        self.client("stepfunctions").stop_execution(executionArn=arn)
        return task

    def record(self, task: Task) -> StoredTask:
        """Return what the table says of a task."""
        record = self.task_store.get(task.id)
        assert record
        return record

    def state(self, task: Task) -> StoredState:
        return self.record(task).state

    def execution(self, task: Task, *, revision: int = 1) -> str | None:
        """Return the status of a task's execution; None if there is none, also once reads have caught up."""
        client = self.client("stepfunctions")
        arn = f"{self.machine.replace(':stateMachine:', ':execution:')}:{task.id}-{revision}"
        caught_up = time.monotonic() + BEHIND_S
        while True:
            try:
                return str(client.describe_execution(executionArn=arn)["status"])
            except client.exceptions.ExecutionDoesNotExist:
                if time.monotonic() > caught_up:
                    return None
                time.sleep(0.1)


@contextmanager
def laboratory() -> Iterator[Laboratory]:
    """Deploy with IAM enforced, and stop the sweeper's clock: it shall sweep when it is told to."""
    with emulator.deployed(auth=True) as deployment:
        trust = ssl.create_default_context(cafile=deployment.authority)
        headers = {"x-pd-secret": deployment.secret}
        with httpx.Client(base_url=deployment.url, headers=headers, verify=trust, timeout=60) as http:
            found = Laboratory(deployment, http)
            found.client("events").disable_rule(Name=found.physical("Events::Rule", "Sweeper/"))
            yield found
        deployment.emulator.kill()  # a stop waits for the executions
