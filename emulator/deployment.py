"""From the checkout to an API that answers: synthesise, bootstrap, deploy, all with the CDK CLI."""

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import urlsplit

import boto3

from emulator.process import Emulator, EmulatorError, answers
from emulator.tools import ACCOUNT, CDK, REGION, ROOT, environment

_HEALTH_S: Final = 60


@dataclass(frozen=True)
class Deployment:
    """A running deployment: where its API answers, the secret it wants, the emulator's AWS endpoint."""

    url: str
    """Ends with a slash."""

    secret: str
    """Empty if the deployment wants none."""

    endpoint: str
    outputs: Mapping[str, str] = field(repr=False)
    emulator: Emulator = field(repr=False)
    folder: Path = field(repr=False)
    """Of the emulator, and the home of the CDK CLI."""

    def client(self, service: str) -> Any:  # noqa: ANN401 - each service has a client of its own
        """Return a boto3 client of the emulator."""
        return _client(service, self.endpoint)

    def deploy(self, assembly: Path) -> "Deployment":
        """Deploy what was synthesised elsewhere into the same emulator: over this stack if it has its name."""
        return _deploy(self.emulator, self.folder, assembly)

    def destroy(self, assembly: Path) -> None:
        """Remove the stack of an assembly, as `make destroy` does."""
        endpoint = self.emulator.endpoint
        _cdk("destroy", f"--app={assembly}", "--force", home=self.folder, cwd=self.folder, endpoint=endpoint)


@contextmanager
def deployed(
    *, port: int = 0, settings: Mapping[str, str] | None = None, assembly: Path | None = None
) -> Iterator[Deployment]:
    """Start an emulator on 127.0.0.1 (port 0: any free one), deploy into it, and remove both at the end.

    Deploys the checkout with these settings, or an assembly that was synthesised elsewhere.
    """
    with TemporaryDirectory(prefix="task-scheduler-emulator-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        emulator = Emulator(folder, port=port)
        try:
            with ThreadPoolExecutor(1) as background:
                synthesised = None if assembly else background.submit(_synthesise, folder, settings or {})
                emulator.start()
                _bootstrap(emulator, folder)
                if synthesised:
                    synthesised.result()
            yield _deploy(emulator, folder, assembly or folder / "cdk.out")
        finally:
            emulator.stop()


def _synthesise(folder: Path, settings: Mapping[str, str]) -> None:
    """Synthesise, at home: there jsii keeps the unpacked CDK from one time to the next."""
    context = [f"--context=scheduler:{name}={value}" for name, value in settings.items()]
    app = f"--app={shlex.join([sys.executable, str(ROOT / 'app.py')])}"
    _cdk("synth", "--quiet", app, f"--output={folder / 'cdk.out'}", *context, home=Path.home(), cwd=ROOT)


def _bootstrap(emulator: Emulator, folder: Path) -> None:
    """Bootstrap from the emulator's folder: in the checkout the CLI would run the app first."""
    _cdk("bootstrap", f"aws://{ACCOUNT}/{REGION}", home=folder, cwd=folder, endpoint=emulator.endpoint)


def _deploy(emulator: Emulator, folder: Path, assembly: Path) -> Deployment:
    results = folder / "outputs.json"
    _cdk(
        "deploy",
        f"--app={assembly}",
        "--method=direct",
        "--require-approval=never",
        f"--outputs-file={results}",
        home=folder,
        cwd=folder,
        endpoint=emulator.endpoint,
    )
    [outputs] = json.loads(results.read_text()).values()
    url = urlsplit(outputs["ApiUrl"])  # https://<api id>.execute-api.<region>.amazonaws.com/<stage>/
    deployment = Deployment(
        url=f"{emulator.endpoint}/_aws/execute-api/{url.netloc.partition('.')[0]}{url.path}",
        secret=_secret(emulator.endpoint, outputs.get("SecretArn")),
        endpoint=emulator.endpoint,
        outputs=outputs,
        emulator=emulator,
        folder=folder,
    )
    if not answers(f"{deployment.url}health", seconds=_HEALTH_S, while_running=emulator):
        raise EmulatorError(f"{deployment.url}health does not answer with 200. {emulator.account_of_death()}")
    return deployment


def _secret(endpoint: str, arn: str | None) -> str:
    if arn is None:
        return ""
    secret: str = _client("secretsmanager", endpoint).get_secret_value(SecretId=arn)["SecretString"]
    return secret


def _client(service: str, endpoint: str) -> Any:  # noqa: ANN401 - each service has a client of its own
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)  # noqa: S106 - the emulator takes any
    return session.client(service, endpoint_url=endpoint)  # type: ignore[call-overload]  # the name is not a literal


def _cdk(*arguments: str, home: Path, cwd: Path, endpoint: str | None = None) -> None:
    """Run the CDK CLI; without an endpoint it can reach no AWS at all."""
    if not CDK.exists():
        raise EmulatorError(f"The CDK CLI is not in {CDK.parent}; `make deploy-local` and `make test` install it.")
    where = endpoint or "http://127.0.0.1:9"
    done = subprocess.run(  # noqa: S603 - our own command
        [CDK, "--no-notices", *arguments],
        cwd=cwd,
        env=environment(
            home,
            AWS_ENDPOINT_URL=where,
            AWS_ENDPOINT_URL_S3=where,
            CDK_DISABLE_CLI_TELEMETRY="true",
        ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise EmulatorError(f"cdk {arguments[0]} failed:\n{done.stdout}")
