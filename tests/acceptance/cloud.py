"""Where the run takes place: an AWS account and region, reached by boto3 and by the CDK CLI."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from emulator import Emulator
from emulator.tools import ACCOUNT, CDK, NODE, REGION, ROOT, environment
from stacks import preconditions
from stacks.account import PreconditionError, UncheckedError

_CONFIG: Final = Config(connect_timeout=5, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 8})
_SYNTH_S: Final = 180
_STOP_S: Final = 20
_TAIL: Final = 2_000  # characters of what the CDK CLI wrote, in an error
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
_CERTIFICATES: Final = ("AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE")


class CdkError(RuntimeError):
    """The CDK CLI failed, or took too long; the text is the end of what it wrote."""


@dataclass(frozen=True)
class Cloud:
    """An account and region with the caller's credentials; each client retries throttled calls."""

    account: str
    partition: str
    region: str
    session: boto3.Session = field(repr=False)
    home: Path
    """Of the CDK CLI."""
    endpoint: str | None = None
    """Of the emulator; None for AWS."""
    authority: Path | None = None
    """The certificate of the emulator; None for AWS, which has a usual one."""

    def client(self, service: str) -> Any:  # noqa: ANN401 - each service has a client of its own
        """Return a boto3 client."""
        return self.session.client(service, region_name=self.region, config=_CONFIG)  # type: ignore[call-overload]  # the name is not a literal

    def cdk(
        self,
        *arguments: str,
        cwd: Path,
        seconds: float,
        meanwhile: Callable[[], None] = lambda: None,
        every_s: float = 5,
    ) -> None:
        """Run a command of the CDK CLI with the caller's credentials, and `meanwhile` every few seconds.

        Ctrl-C does not reach it, so that a removal goes on; a run that is interrupted stops it. Raises CdkError.
        """
        _run_cdk(
            [*_profile(), *arguments],
            cwd=cwd,
            more={"HOME": str(self.home)},
            seconds=seconds,
            meanwhile=meanwhile,
            every_s=every_s,
        )


def synthesize(folder: Path, context: Mapping[str, str]) -> Path:
    """Build the assembly of this checkout with a context, in the folder; returns where it is. Raises CdkError."""
    given = [f"--context={name}={value}" for name, value in context.items()]
    app = f"--app={sys.executable} {ROOT / 'app.py'}"
    _run_cdk(["synth", "--quiet", app, f"--output={folder}", *given], cwd=ROOT, more={}, seconds=_SYNTH_S)
    return folder


def caller(stack: str, *, emulated: bool = False) -> Cloud:
    """Return the account of the caller's credentials once a deployment of this stack could work there.

    Raises PreconditionError with a sentence where it could not, or where that cannot be known.
    """
    if (endpoint := os.environ.get("AWS_ENDPOINT_URL")) and not emulated:
        raise PreconditionError("AWS_ENDPOINT_URL is set, so this may not be AWS: unset it, or set EMULATOR=1.")
    for name in ("CDK_PROFILE", "CDK_REGION"):  # there shall be one way to name them
        os.environ.pop(name, None)
    if os.environ.get("AWS_PROFILE"):
        os.environ.pop("AWS_DEFAULT_PROFILE", None)
    if named := _json(Path.home() / ".cdk.json").keys() & {"profile", "region"}:
        raise PreconditionError(f"~/.cdk.json names a {' and a '.join(sorted(named))}: use AWS_PROFILE and AWS_REGION.")
    try:
        preconditions.check("deploy", ["-c", "scheduler:file=", "-c", f"scheduler:stack={stack}"])
        session = boto3.Session()
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or session.region_name
        if region is None:
            raise PreconditionError("no region is named: set AWS_REGION to that of the deployment.")
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):  # the CDK CLI and boto3 read different ones first
            os.environ[name] = region
        identity = session.client("sts", region_name=region, config=_CONFIG).get_caller_identity()
    except UncheckedError as error:
        raise PreconditionError(f"the account could not be checked ({error}), so nothing was started.") from None
    except (BotoCoreError, ClientError) as error:
        raise PreconditionError(f"the account does not answer ({error}), so nothing was started.") from None
    authority = os.environ.get("AWS_CA_BUNDLE") if endpoint else None
    cloud = Cloud(
        account=identity["Account"],
        partition=identity["Arn"].split(":")[1],
        region=region,
        session=session,
        home=Path(authority).parent if authority else Path.home(),
        endpoint=endpoint,
        authority=Path(authority) if authority else None,
    )
    if exists(cloud, stack):
        raise PreconditionError(f"there is a stack {stack} already, and only a new one may be destroyed afterwards.")
    return cloud


def exists(cloud: Cloud, stack: str) -> bool:
    """Tell whether there is a stack of this name, in whatever state."""
    try:
        cloud.client("cloudformation").describe_stacks(StackName=stack)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        return False
    return True


@contextmanager
def emulated() -> Iterator[None]:
    """Start the emulator with IAM enforced, and let this process take it for AWS: nothing else of it is special."""
    before = dict(os.environ)
    with TemporaryDirectory(prefix="task-scheduler-accept-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        emulator = Emulator(folder, auth=True)
        try:
            emulator.start()
            for variable in [*os.environ]:
                if variable.startswith(("AWS_", "CDK_")) or variable in _PROXIES:
                    del os.environ[variable]
            os.environ |= {key: value for key, value in environment(folder).items() if key not in {"HOME", "PATH"}}
            os.environ |= {"AWS_ENDPOINT_URL": emulator.endpoint, "AWS_ENDPOINT_URL_S3": emulator.endpoint}
            if emulator.certificate:
                os.environ |= dict.fromkeys(_CERTIFICATES, str(emulator.certificate.authority))
            _run_cdk(
                ["bootstrap", f"aws://{ACCOUNT}/{REGION}"], cwd=folder, more={"HOME": str(folder)}, seconds=_SYNTH_S
            )
            yield
        finally:
            emulator.stop()
            os.environ.clear()
            os.environ |= before


def _run_cdk(  # noqa: PLR0913 - keyword-only, and each differs between its callers
    arguments: list[str],
    *,
    cwd: Path,
    more: Mapping[str, str],
    seconds: float,
    meanwhile: Callable[[], None] = lambda: None,
    every_s: float = 5,
) -> None:
    path = os.pathsep.join((str(NODE.parent), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    variables = {"PATH": path, "JSII_NODE": str(NODE), "NODE_USE_SYSTEM_CA": "1", "CDK_DISABLE_VERSION_CHECK": "true"}
    with TemporaryDirectory() as folder:
        output = Path(folder, "output")
        with output.open("wb") as file:
            process = subprocess.Popen(  # noqa: S603 - our own command
                [CDK, "--no-notices", *arguments],
                cwd=cwd,
                env=os.environ | variables | {"CDK_DISABLE_CLI_TELEMETRY": "true"} | dict(more),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            code = _wait(process, seconds, meanwhile, every_s)
        finally:
            _stop(process)
        if code != 0:
            why = f"did not end within {seconds:g} s" if code is None else "failed"
            raise CdkError(f"cdk {arguments[0]} {why}: {output.read_text(errors='replace')[-_TAIL:]}")


def _wait(
    process: subprocess.Popen[bytes], seconds: float, meanwhile: Callable[[], None], every_s: float
) -> int | None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            return process.wait(min(every_s, max(0.1, deadline - time.monotonic())))
        except subprocess.TimeoutExpired:
            meanwhile()
    return None


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the process and its children, if it still runs."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, number)
                process.wait(_STOP_S)


def _profile() -> list[str]:
    profile = os.environ.get("AWS_PROFILE")
    return [f"--profile={profile}"] if profile else []


def _json(file: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
