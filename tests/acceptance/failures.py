"""What a caller gets when Lambda does not run the function: each failure is caused on purpose, and taken back."""

import json
import time
from collections.abc import Callable
from typing import Any, Final

import httpx

from tests.acceptance import judgement
from tests.acceptance.removal import Step
from tests.acceptance.report import Outcome, Verdict
from tests.acceptance.run import Run

_FUNCTION: Final = "ApiFunction"
_PATH: Final = "tasks?limit=1"
_PAUSE_S: Final = 1
_SERVER_ERROR: Final = 500


def without_concurrency(run: Run) -> Outcome:
    """Leave the function no concurrency, and give it back."""
    client, name = run.cloud.client("lambda"), run.stack.function(_FUNCTION)
    step = run.removal.add(
        "the reserved concurrency of the api function",
        lambda: client.delete_function_concurrency(FunctionName=name),
        f"aws lambda delete-function-concurrency --function-name {name}",
    )
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    response, restored_s = _observe(run, step)
    if response is None:
        return Outcome(Verdict.FAIL, f"It still answered 200 after {run.scale.recovery_s:g} s.")
    mistakes = judgement.error_format(response)
    if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
        mistakes.append(f"the status is {response.status_code}")
    if not response.headers.get("retry-after", "").isdigit():
        mistakes.append("there is no Retry-After")
    return judgement.verdict(mistakes + _unrestored(restored_s), f"{_seen(response)}; {_restored(restored_s)}.")


def other_failures(run: Run) -> Outcome:
    """Break the handler, then the permission of API Gateway; which gateway response that is has to be noted."""
    mistakes, facts = [], []
    for what, cause in (("handler missing", _break_handler), ("permission missing", _remove_permissions)):
        response, restored_s = _observe(run, cause(run))
        mistakes += _unrestored(restored_s)
        if response is None:
            facts.append(f"{what}: no effect")
            continue
        if response.status_code < _SERVER_ERROR:
            mistakes.append(f"{what}: the status is {response.status_code}")
        mistakes += [f"{what}: {mistake}" for mistake in judgement.error_format(response)]
        by = "INTEGRATION_FAILURE" if response.headers.get("retry-after") else "another gateway response"
        facts.append(f"{what}: {_seen(response)}, so {by}")
    outcome = judgement.verdict(mistakes, f"{'; '.join(facts)}.")
    return Outcome(Verdict.INFO, outcome.fact) if outcome.verdict is Verdict.PASS else outcome


def _break_handler(run: Run) -> Step:
    client, name = run.cloud.client("lambda"), run.stack.function(_FUNCTION)
    handler = client.get_function_configuration(FunctionName=name)["Handler"]

    def update(value: str) -> None:
        client.update_function_configuration(FunctionName=name, Handler=value)
        client.get_waiter("function_updated_v2").wait(
            FunctionName=name, WaiterConfig={"Delay": _PAUSE_S, "MaxAttempts": round(run.scale.recovery_s)}
        )

    command = f"aws lambda update-function-configuration --function-name {name} --handler {handler}"
    step = run.removal.add("the broken handler of the api function", lambda: update(handler), command)
    update("lambdas.missing.handler")
    return step


def _remove_permissions(run: Run) -> Step:
    client, name = run.cloud.client("lambda"), run.stack.function(_FUNCTION)
    statements = json.loads(client.get_policy(FunctionName=name)["Policy"])["Statement"]

    def restore() -> None:
        for one in statements:
            client.add_permission(
                FunctionName=name,
                StatementId=one["Sid"],
                Action=one["Action"],
                Principal=one["Principal"]["Service"],
                **({"SourceArn": source} if (source := _source(one)) else {}),
            )

    step = run.removal.add("the missing permissions of the api function", restore, "(they go with the stack)")
    for one in statements:
        client.remove_permission(FunctionName=name, StatementId=one["Sid"])
    return step


def _source(statement: dict[str, Any]) -> str | None:
    for condition in statement.get("Condition", {}).values():
        for key, value in condition.items():
            if key.lower() == "aws:sourcearn":
                return str(value)
    return None


def _observe(run: Run, step: Step) -> tuple[httpx.Response | None, float | None]:
    """Return the first response that is not 200, and how long it took until it was 200 again; None if it never was."""
    try:
        response = _until(run, lambda response: not response.is_success)
    finally:
        run.removal.now(step)
    begin = time.monotonic()
    restored = _until(run, lambda response: response.is_success)
    return response, None if restored is None else time.monotonic() - begin


def _until(run: Run, found: Callable[[httpx.Response], bool]) -> httpx.Response | None:
    deadline = time.monotonic() + run.scale.recovery_s
    while time.monotonic() < deadline:
        response = run.http.get(_PATH)
        if found(response):
            return response
        time.sleep(_PAUSE_S)
    return None


def _unrestored(seconds: float | None) -> list[str]:
    return ["it did not come back"] if seconds is None else []


def _restored(seconds: float | None) -> str:
    return "it did not come back" if seconds is None else f"back after {seconds:.1f} s"


def _seen(response: httpx.Response) -> str:
    again = response.headers.get("retry-after")
    return f"{response.status_code} {'with Retry-After ' + again if again else 'without Retry-After'}"
