"""The questions that an emulator cannot answer for AWS, each a function; the order is that of the run."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final
from xml.etree import ElementTree as ET

import httpx
from botocore.exceptions import ClientError

from emulator.tools import ROOT
from task_scheduler.client.requests import NEWEST
from tests.acceptance import judgement
from tests.acceptance.cost import estimate
from tests.acceptance.failures import other_failures, without_concurrency
from tests.acceptance.judgement import Cancel
from tests.acceptance.report import Outcome, Verdict
from tests.acceptance.run import Accepted, Question, Run, at_once
from tests.acceptance.stack import Stack, Toolkit
from tests.support.clock import NotInTimeError, eventually, milliseconds, now_ms

_AROUND_S: Final = (-2.0, -0.5, 1.0)
_LAST_MOMENT_S: Final = (-0.2, 0.6)
"""When the first cancel of a task is sent: each a little later, so that some meet the publish itself."""
_REPEATED_S: Final = (0, 0.1, 0.4)
_LEAD_S: Final = 6.0
_WARM: Final = 2
_APART_S: Final = 0.3
_HOUR_S: Final = 3600
_BATCH: Final = 100
_PAGE: Final = 1000
_ENDED_S: Final = 60
_AGAIN_S: Final = 120
_PAUSE_S: Final = 1


def conformance(run: Run) -> Outcome:
    """Run tests/conformance by URL; the secret goes by the environment."""
    results = run.folder / "suite.xml"
    trust = [f"--ca={run.cloud.authority}"] if run.cloud.authority else []
    command = [sys.executable, "-m", "pytest", "tests/conformance", f"--url={run.deployed.url}", *trust]
    with run.log.open("w") as log:
        done = subprocess.run(  # noqa: S603 - our own command
            [*command, f"--junitxml={results}", "--quiet", "-p", "no:cacheprovider"],
            cwd=ROOT,
            env=os.environ | {"TASK_SCHEDULER_SECRET": run.deployed.secret},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=run.scale.suite_s,
            check=False,
        )
    run.log.write_text("\n".join(run.redact(line) for line in run.log.read_text().splitlines()) + "\n")
    cases = [*ET.parse(results).getroot().iter("testcase")]  # noqa: S314 - written by the lines above
    tags = [{child.tag for child in case} for case in cases]
    failed = [case.get("name", "?") for case, tag in zip(cases, tags, strict=True) if tag & {"failure", "error"}]
    passed = sum(not tag & {"failure", "error", "skipped"} for tag in tags)
    fact = f"{passed} of {len(cases)} tests passed; see {run.log.name}."
    return judgement.verdict([*failed, *(["pytest failed"] if done.returncode and not failed else [])], fact)


def get_with_body(run: Run) -> Outcome:
    """Schedule as Pipedream's documented snippet does."""
    response = run.send("GET", "schedule", {"in": _HOUR_S, "message": "by GET"})
    if response.status_code != httpx.codes.OK:
        return Outcome(Verdict.FAIL, f"GET /schedule with a body answers {response.status_code}: {response.text}")
    task = run.client.get(response.json()["id"])
    run.cancel(task.id)
    return judgement.verdict(
        ["another message arrived"] if task.message != "by GET" else [], "200, and the body arrived."
    )


def delete_with_body(run: Run) -> Outcome:
    """Cancel by DELETE."""
    task = run.schedule(_HOUR_S)
    response = run.send("DELETE", "cancel", {"id": task.id})
    if response.status_code != httpx.codes.OK:
        return Outcome(Verdict.FAIL, f"DELETE /cancel with a body answers {response.status_code}: {response.text}")
    run.cancelled.add(task.id)
    status = run.client.get(task.id).status
    return judgement.verdict([f"the task is {status}"] if status != "cancelled" else [], "200, and the body arrived.")


def untagged(run: Run) -> Outcome:
    """Publish a message with no attributes, and one with some."""
    plain, tagged = run.schedule(1), run.schedule(1, tags={"user": "42"})
    run.observer.wait_for([plain.id, tagged.id], within_s=run.scale.mended_s)
    mistakes = []
    for what, task, attributes in (("an untagged", plain, {}), ("a tagged", tagged, {"user": "42"})):
        publications = run.observer.of(task.id)
        if not publications:
            mistakes.append(f"{what} message was not published within {run.scale.mended_s:g} s")
        elif (seen := publications[0]).attributes != attributes or seen.event["message"] != "acceptance":
            mistakes.append(f"{what} message was published with the attributes {dict(seen.attributes)}")
    return judgement.verdict(mistakes, "Published without attributes; one with a tag has it as its attribute.")


def cancels_around_due(run: Run) -> Outcome:
    """Cancel tasks shortly before and after they are due, each once."""
    plan = [(offset,) for offset in _AROUND_S for _ in range(run.scale.cancels)]
    cancels = _cancel_all(run, plan)
    _settle(run, cancels)
    return judgement.truth(cancels, _published(run, (one.task_id for one in cancels)))


def rejected_cancel_is_harmless(run: Run) -> Outcome:
    """Cancel tasks again and again at the last moment; what was only rejected must not show."""
    count, (first, last) = 2 * run.scale.cancels, _LAST_MOMENT_S
    begins = [first + index * (last - first) / (count - 1) for index in range(count)]
    cancels = _cancel_all(run, [[round(begin + after, 2) for after in _REPEATED_S] for begin in begins])
    _settle(run, cancels)
    ids = [*dict.fromkeys(one.task_id for one in cancels)]
    executions = {task_id: _execution(run, task_id) or "missing" for task_id in ids}
    return judgement.harmless(cancels, _published(run, ids), executions, prompt_s=run.scale.prompt_s)


def stop_finished_execution(run: Run) -> Outcome:
    """Note what AWS answers; whatever it is, the execution must stay what it was."""
    task = _finished(run)
    client = run.cloud.client("stepfunctions")
    try:
        stopped = client.stop_execution(executionArn=_arn(run, task.id))
        answer = f"200 with stopDate {stopped['stopDate'].isoformat()}"
    except ClientError as error:
        answer = f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
    status = _execution(run, task.id)
    if status != "SUCCEEDED":
        return Outcome(Verdict.FAIL, f"The execution became {status}. StopExecution answered {answer}.")
    return Outcome(Verdict.INFO, f"StopExecution answers {answer.rstrip('.')}; the execution stays SUCCEEDED.")


def cancel_finished(run: Run) -> Outcome:
    """Cancel what was published a while ago."""
    task = _finished(run)
    status = run.cancel(task.id)
    time.sleep(run.scale.settle_s)
    publishes = len(_published(run, [task.id])[task.id])
    mistakes = [f"the answer is {status}"] if status != httpx.codes.CONFLICT else []
    mistakes += [f"the task was published {publishes} times"] if publishes != 1 else []
    return judgement.verdict(mistakes, f"{status}, and the message was published {publishes} time(s).")


def lateness(run: Run) -> Outcome:
    """Schedule many tasks that are due within a minute."""
    position = _position(run)
    count, first = run.scale.late_tasks, run.scale.spread_s / 3
    bodies = [
        {"in": first + index * run.scale.spread_s / count, "message": f"number {index}"} for index in range(count)
    ]
    due_ms: dict[str, int] = {}
    for begin in range(0, count, _BATCH):
        response = run.send("POST", "schedule/batch", {"tasks": bodies[begin : begin + _BATCH]})
        results = response.raise_for_status().json()["results"]
        due_ms |= {one["id"]: milliseconds(one["timestamp"]) for one in results if one["status"] == httpx.codes.OK}
    refused = count - len(due_ms)
    logged: dict[str, list[int]] = {}

    def all_logged() -> bool:
        nonlocal position
        while events := run.client.emitted(after=position, limit=_PAGE):
            position = events[-1].sequence
            for event in events:
                logged.setdefault(event.task_id, []).append(round(event.emitted_at.timestamp() * 1000))
        return due_ms.keys() <= logged.keys()

    within_s = first + run.scale.spread_s + run.scale.mended_s
    with suppress(NotInTimeError):  # what is missing then is counted
        eventually(all_logged, within=within_s, every=_PAUSE_S)
    run.observer.wait_for(due_ms, within_s=run.scale.settle_s)
    outcome = judgement.lateness(due_ms, _published(run, due_ms), logged)
    return Outcome(Verdict.FAIL, f"{refused} were not accepted. {outcome.fact}") if refused else outcome


def events_after_silence(run: Run) -> Outcome:
    """Leave every environment idle for long, and ask again: Lambda has closed the connections that it kept."""
    path = f"events?after={_position(run)}&limit=1"
    at_once(lambda _: run.http.get(path), run.scale.listeners)
    time.sleep(run.scale.silence_s)
    statuses = [status for _ in range(4) for status in at_once(lambda _: run.http.get(path), run.scale.listeners)]
    wrong = [status for status in statuses if status != httpx.codes.OK]
    mistakes = [f"{len(wrong)} of {len(statuses)} calls failed"] if wrong else []
    return judgement.verdict(mistakes, f"After {run.scale.silence_s:g} s: {judgement.counts(statuses)}.")


def secret_again(run: Run) -> Outcome:
    """Create a secret, delete it by force, and create it again, as a destroyed and deployed stack does."""
    client, name = run.cloud.client("secretsmanager"), f"{run.stack.name}-again"

    def delete() -> None:
        client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)

    step = run.removal.add(
        f"the secret {name}",
        delete,
        f"aws secretsmanager delete-secret --secret-id {name} --force-delete-without-recovery",
    )
    client.create_secret(Name=name, SecretString="first")
    delete()
    begin, tries, refusal = time.monotonic(), 0, ""
    while True:
        tries += 1
        try:
            client.create_secret(Name=name, SecretString="second")
            break
        except ClientError as error:
            refusal = error.response["Error"]["Code"]
            if time.monotonic() - begin > _AGAIN_S:
                return Outcome(Verdict.FAIL, f"After {_AGAIN_S} s it is still {error.response['Error']['Message']}")
            time.sleep(_PAUSE_S)
    waited = time.monotonic() - begin
    run.removal.now(step)
    why = f"{tries} tries ({refusal})" if refusal else "the first try"
    return Outcome(
        Verdict.INFO if refusal else Verdict.PASS, f"Created again by {why}, {waited:.1f} s after the deletion."
    )


def iam_policy(run: Run) -> Outcome:
    """Deploy and destroy a second stack, by a CloudFormation that has iam-policy.json and no more."""
    toolkit = Toolkit(run.cloud, f"{run.stack.name}-toolkit", run.qualifier, run.folder)
    toolkit.bootstrap(run.removal)
    second = Stack(run.cloud, f"{run.stack.name}-iam", run.folder, run.qualifier)
    begin = time.monotonic()
    run.redact.secrets.append(second.deploy(run.removal).secret)
    created = time.monotonic() - begin
    second.destroy()
    fact = f"Deployed in {created:.0f} s and destroyed in {time.monotonic() - begin - created:.0f} s."
    return Outcome(Verdict.PASS, f"{fact} The emulator asks no role of CloudFormation." if run.cloud.endpoint else fact)


def promises_kept(run: Run) -> Outcome:
    """Look once more, at the end: nothing that was cancelled has come out since, and all that was too late has."""
    published = _published(run, run.cancelled | run.late)
    came = sum(bool(published[task_id]) for task_id in run.cancelled)
    missing = sum(not published[task_id] for task_id in run.late)
    mistakes = [f"{came} cancelled tasks were published"] if came else []
    mistakes += [f"{missing} tasks that were too late to cancel were not published"] if missing else []
    return judgement.verdict(mistakes, f"{len(run.cancelled)} confirmed cancels, {len(run.late)} rejected ones.")


def within_estimate(run: Run) -> Outcome:
    """Count the tasks that the run has made."""
    bound = estimate(run.scale.late_tasks)
    tasks = sum(1 for _ in run.client.list(page_size=_PAGE))
    mistakes = ["more than the estimate"] if tasks > bound.tasks else []
    return judgement.verdict(mistakes, f"{tasks:,} tasks are in the table; the estimate is {bound.tasks:,}.")


QUESTIONS: Final[Sequence[Question]] = tuple(
    Question(ask.__name__.replace("_", "-"), sentence, ask)
    for ask, sentence in (
        (get_with_body, "Does GET /schedule with a body arrive?"),
        (delete_with_body, "Does DELETE /cancel with a body arrive?"),
        (untagged, "Is a message without tags published?"),
        (cancels_around_due, "Are cancels at due-2 s, due-0.5 s and due+1 s answered truthfully?"),
        (rejected_cancel_is_harmless, "Does a rejected cancel neither stop nor delay the publish?"),
        (stop_finished_execution, "What does StopExecution answer for an execution that has finished?"),
        (cancel_finished, "Is a cancel after the publish a truthful 409?"),
        (lateness, "How late are tasks that are due within a minute?"),
        (conformance, "Does the conformance suite pass?"),
        (events_after_silence, "Does GET /events answer 200 after a long silence?"),
        (without_concurrency, "Is a request that Lambda has no environment for answered with 503 and Retry-After?"),
        (other_failures, "What does a caller get when the function cannot run for another reason?"),
        (secret_again, "Can a secret be created again right after a forced deletion?"),
        (iam_policy, "Is iam-policy.json enough for CloudFormation?"),
        (promises_kept, "Is every cancel still true at the end?"),
        (within_estimate, "Did the run make no more tasks than it said?"),
    )
)


def _cancel_all(run: Run, plan: Sequence[Sequence[float]]) -> list[Cancel]:
    """Schedule a task for each entry, and cancel it at these distances from its time; several at once."""
    run.ahead_ms  # noqa: B018 - found out here, by one thread
    for _ in range(_WARM):  # a cold start would take longer than some of these distances
        at_once(lambda _: run.http.get("tasks?limit=1"), len(plan))

    def one(index: int) -> list[Cancel]:
        task = run.schedule_on_a_second(_LEAD_S + index * _APART_S)
        found = []
        for offset in plan[index]:
            wait_s = (task.due_ms - run.ahead_ms - now_ms()) / 1000 + offset
            time.sleep(max(0, wait_s))
            found.append(Cancel(task.id, task.due_ms, offset, run.cancel(task.id), max(0, -wait_s)))
        return found

    with ThreadPoolExecutor(len(plan)) as threads:
        return [cancel for cancels in threads.map(one, range(len(plan))) for cancel in cancels]


def _settle(run: Run, cancels: Sequence[Cancel]) -> None:
    """Wait until all that was too late to cancel was published, and then for what should not come."""
    confirmed = {one.task_id for one in cancels if one.status == httpx.codes.OK}
    late = {one.task_id for one in cancels if one.status == httpx.codes.CONFLICT} - confirmed
    run.observer.wait_for(late, within_s=run.scale.mended_s)
    time.sleep(run.scale.settle_s)


def _published(run: Run, task_ids: Iterable[str]) -> dict[str, list[int]]:
    run.observer.read()
    return {task_id: [one.at_ms for one in run.observer.of(task_id)] for task_id in task_ids}


def _finished(run: Run) -> Accepted:
    """Return a task whose execution has ended and whose message is out."""
    task = run.schedule(0)
    eventually(lambda: _execution(run, task.id) == "SUCCEEDED", within=_ENDED_S, every=_PAUSE_S)
    run.observer.wait_for([task.id], within_s=_ENDED_S)
    return task


def _execution(run: Run, task_id: str) -> str | None:
    """Return the status of a task's first execution, None if it has none."""
    client: Any = run.cloud.client("stepfunctions")
    try:
        return str(client.describe_execution(executionArn=_arn(run, task_id))["status"])
    except client.exceptions.ExecutionDoesNotExist:
        return None


def _arn(run: Run, task_id: str) -> str:
    return f"{run.deployed.outputs['StateMachineArn'].replace(':stateMachine:', ':execution:')}:{task_id}-1"


def _position(run: Run) -> int:
    """Return the sequence number of the newest event."""
    newest = run.client.emitted(before=NEWEST, limit=1)
    return newest[-1].sequence if newest else 0
