"""Lambda: the concurrency that functions reserve of their account's, and environments that start quickly."""

import hashlib
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import Any, Final

from ministack.core import lambda_runtime  # type: ignore[import-untyped]  # it has no types
from ministack.core.responses import error_response_json  # type: ignore[import-untyped]  # the same
from ministack.services import lambda_svc  # type: ignore[import-untyped]  # the same
from ministack.services.cloudformation import provisioners  # type: ignore[import-untyped]  # the same

_LEAST_UNRESERVED: Final = 100
_DEFAULT_OF_ACCOUNTS: Final = 1000


def unpack_code_once() -> None:
    """Let all environments of the same code share the files that it is unpacked to, and what Python compiles of them.

    That is no difference between ministack 1.5.33 and AWS, but most of what it takes to start an environment here:
    ministack unpacks a thousand files for each, and Python compiles them again.
    """
    lock = Lock()

    class SharedZipFile(zipfile.ZipFile):
        def extractall(self, path: Any = None, members: Any = None, pwd: bytes | None = None) -> None:  # noqa: ANN401 - as it was
            digest = hashlib.sha256(Path(str(self.filename)).read_bytes()).hexdigest()
            shared = Path(tempfile.gettempdir(), f"code-{digest}")
            with lock:
                if not shared.exists():
                    super().extractall(shared, members, pwd)
            Path(path).rmdir()
            Path(path).symlink_to(shared)

    lambda_runtime.zipfile = SimpleNamespace(ZipFile=SharedZipFile, BadZipFile=zipfile.BadZipFile)


def reserve_concurrency() -> None:
    """Reserve what a template says, and reject what leaves less than 100 executions, or the limit if it is lower.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html. With a limit of 10, as new accounts
    have, nothing can be reserved: https://github.com/aws-samples/one-observability-demo/issues/278 has the error.
    ministack 1.5.33 reserves any number by the API, and nothing by a template. The limit of the account is
    ministack's LAMBDA_ACCOUNT_CONCURRENCY, at most 1,000.
    """
    put = lambda_svc._put_function_concurrency  # noqa: SLF001 - there is no other place to take hold of
    handlers = provisioners._RESOURCE_HANDLERS["AWS::Lambda::Function"]  # noqa: SLF001 - the same
    create, update = handlers["create"], handlers["update"]

    def put_checked(name: str, request: Mapping[str, Any]) -> Any:  # noqa: ANN401 - ministack's own
        problem = _problem(name, request)
        return error_response_json("InvalidParameterValueException", problem, 400) if problem else put(name, request)

    def create_reserved(logical_id: str, properties: Mapping[str, Any], stack: str) -> Any:  # noqa: ANN401 - the same
        _demand("", properties)
        created = create(logical_id, properties, stack)
        _reserve(created[0], properties)
        return created

    def update_reserved(name: str, old: object, properties: Mapping[str, Any], *given: Any, **named: Any) -> Any:  # noqa: ANN401 - the same
        _demand(name, properties)
        updated = update(name, old, properties, *given, **named)
        _reserve(updated[0], properties)
        return updated

    lambda_svc._put_function_concurrency = put_checked  # noqa: SLF001 - the same
    handlers["create"], handlers["update"] = create_reserved, update_reserved


def _reserve(name: str, properties: Mapping[str, Any]) -> None:
    reserved = properties.get("ReservedConcurrentExecutions")
    lambda_svc._functions[name]["concurrency"] = None if reserved is None else int(reserved)  # noqa: SLF001 - the same


def _demand(name: str, properties: Mapping[str, Any]) -> None:
    """Fail a resource that reserves too much."""
    problem = _problem(name, properties)
    if problem:
        raise ValueError(problem)


def _problem(name: str, request: Mapping[str, Any]) -> str | None:
    """Say why a function cannot reserve this much, if it cannot."""
    limit = lambda_svc._ACCOUNT_CONCURRENCY_CAP or _DEFAULT_OF_ACCOUNTS  # noqa: SLF001 - the same
    least = min(limit, _LEAST_UNRESERVED)
    others = sum(function["concurrency"] or 0 for one, function in lambda_svc._functions.items() if one != name)  # noqa: SLF001 - the same
    wanted = int(request.get("ReservedConcurrentExecutions") or 0)
    if wanted and limit - others - wanted < least:
        return (
            "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
            f"below its minimum value of [{least}]."
        )
    return None
