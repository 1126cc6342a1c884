"""From the checkout to an API that answers: synthesise, bootstrap, deploy, with the CDK CLI.

What is already synthesised is created without the CLI, which takes fifteen times as long: for tests.
"""

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

from emulator import cloudformation
from emulator.process import Emulator, EmulatorError, answers
from emulator.tools import ACCOUNT, CDK, REGION, ROOT, environment

_ROOT_USER: Final[Mapping[str, str]] = {}
"""The credentials of the emulator's root user: those that every environment here has."""

_HEALTH_S: Final = 60
_POLICY: Final = ROOT / "iam-policy.json"


@dataclass(frozen=True)
class Deployment:
    """A running deployment: where its API answers, the secret it wants, the emulator's AWS endpoint."""

    url: str
    """Ends with a slash."""

    secret: str
    """Empty if the deployment wants none."""

    endpoint: str
    stack: str
    """The name of the stack."""
    outputs: Mapping[str, str] = field(repr=False)
    emulator: Emulator = field(repr=False)
    folder: Path = field(repr=False)
    """Of the emulator, and the home of the CDK CLI."""
    deployer: Mapping[str, str] = field(repr=False)
    """The credentials of whoever deploys."""

    @property
    def authority(self) -> Path | None:
        """The certificate that clients have to trust; None where there is no TLS."""
        certificate = self.emulator.certificate
        return certificate.authority if certificate else None

    def client(self, service: str) -> Any:  # noqa: ANN401 - each service has a client of its own
        """Return a boto3 client of the emulator, with the rights of its root user."""
        return self.emulator.client(service)

    def deploy(self, assembly: Path) -> "Deployment":
        """Deploy what was synthesised elsewhere into the same emulator: over this stack if it has its name."""
        return _deploy(self.emulator, self.folder, assembly, self.deployer)

    def create(self, assembly: Path) -> "Deployment":
        """Create another stack in the same emulator, without the CDK CLI."""
        return _create(self.emulator, self.folder, assembly, self.deployer)

    def destroy(self, assembly: Path) -> None:
        """Remove the stack of an assembly, as `make destroy` does."""
        _cdk(
            "destroy",
            f"--app={assembly}",
            "--force",
            home=self.folder,
            cwd=self.folder,
            emulator=self.emulator,
            credentials=self.deployer,
        )


@contextmanager
def deployed(
    *, port: int = 0, settings: Mapping[str, str] | None = None, assembly: Path | None = None, auth: bool = False
) -> Iterator[Deployment]:
    """Start an emulator on 127.0.0.1 (port 0: any free one), deploy into it, and remove both at the end.

    Deploys the checkout with these settings; or creates the stack of an assembly that was synthesised elsewhere,
    without the CDK CLI. With `auth` IAM is enforced, over TLS.
    """
    with TemporaryDirectory(prefix="task-scheduler-emulator-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        emulator = Emulator(folder, port=port, auth=auth)
        try:
            if assembly:
                yield _started(emulator, folder, assembly)
                return
            with ThreadPoolExecutor(1) as background:
                synthesised = background.submit(_synthesise, folder, settings or {})
                emulator.start()
                _bootstrap(emulator, folder)
                synthesised.result()
            yield _deploy(emulator, folder, folder / "cdk.out", _deployer(emulator))
        finally:
            emulator.stop()


def deploy_and_leave(folder: Path, assembly: Path, *, lifeline: int) -> Deployment:
    """Create a stack with IAM enforced in a new emulator, which goes on until the lifeline has no writer left."""
    return _started(Emulator(folder, auth=True), folder, assembly, lifeline=lifeline)


def _started(emulator: Emulator, folder: Path, assembly: Path, *, lifeline: int = subprocess.PIPE) -> Deployment:
    emulator.start(lifeline=lifeline)
    cloudformation.bootstrap(emulator, *_policies(emulator))
    return _create(emulator, folder, assembly, _deployer(emulator))


def _synthesise(folder: Path, settings: Mapping[str, str]) -> None:
    """Synthesise, at home: there jsii keeps the unpacked CDK from one time to the next.

    Without deployment.toml, unless it is given: its subscribers are real, and an emulator must not call them.
    """
    given = {"file": "", **settings}
    context = [f"--context=scheduler:{name}={value}" for name, value in given.items()]
    app = f"--app={shlex.join([sys.executable, str(ROOT / 'app.py')])}"
    _cdk("synth", "--quiet", app, f"--output={folder / 'cdk.out'}", *context, home=Path.home(), cwd=ROOT)


def _bootstrap(emulator: Emulator, folder: Path) -> None:
    """Bootstrap as docs/aws.md says, from the emulator's folder: in the checkout the CLI would run the app first.

    Where IAM is enforced, CloudFormation gets iam-policy.json. ministack 1.5.33 does not ask CloudFormation's role.
    """
    policies = [f"--cloudformation-execution-policies={arn}" for arn in _policies(emulator)]
    _cdk("bootstrap", f"aws://{ACCOUNT}/{REGION}", *policies, home=folder, cwd=folder, emulator=emulator)


def _policies(emulator: Emulator) -> list[str]:
    if not emulator.certificate:
        return []
    policy = emulator.client("iam").create_policy(PolicyName="TaskSchedulerDeploy", PolicyDocument=_POLICY.read_text())
    return [policy["Policy"]["Arn"]]


def _deployer(emulator: Emulator) -> Mapping[str, str]:
    """Where IAM is enforced, return the credentials of a user who may assume the roles of the CDK, and no more."""
    if not emulator.certificate:
        return _ROOT_USER
    iam = emulator.client("iam")
    document = json.loads(_POLICY.read_text())
    document["Statement"] = [statement for statement in document["Statement"] if statement["Sid"] == "CdkRoles"]
    iam.create_user(UserName="deployer")
    iam.put_user_policy(UserName="deployer", PolicyName="TaskSchedulerDeploy", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName="deployer")["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def _deploy(emulator: Emulator, folder: Path, assembly: Path, deployer: Mapping[str, str]) -> Deployment:
    results = folder / "outputs.json"
    _cdk(
        "deploy",
        f"--app={assembly}",
        "--method=direct",
        "--require-approval=never",
        f"--outputs-file={results}",
        home=folder,
        cwd=folder,
        emulator=emulator,
        credentials=deployer,
    )
    [(stack, outputs)] = json.loads(results.read_text()).items()
    return _answering(emulator, folder, stack, outputs, deployer)


def _create(emulator: Emulator, folder: Path, assembly: Path, deployer: Mapping[str, str]) -> Deployment:
    stack, outputs = cloudformation.create_stack(emulator, assembly)
    return _answering(emulator, folder, stack, outputs, deployer)


def _answering(
    emulator: Emulator, folder: Path, stack: str, outputs: Mapping[str, str], deployer: Mapping[str, str]
) -> Deployment:
    url = urlsplit(outputs["ApiUrl"])  # https://<api id>.execute-api.<region>.amazonaws.com/<stage>/
    deployment = Deployment(
        url=f"{emulator.endpoint}/_aws/execute-api/{url.netloc.partition('.')[0]}{url.path}",
        secret=_secret(emulator, outputs.get("SecretArn")),
        endpoint=emulator.endpoint,
        stack=stack,
        outputs=outputs,
        emulator=emulator,
        folder=folder,
        deployer=deployer,
    )
    if not answers(f"{deployment.url}health", seconds=_HEALTH_S, while_running=emulator):
        raise EmulatorError(f"{deployment.url}health does not answer with 200. {emulator.account_of_death()}")
    return deployment


def _secret(emulator: Emulator, arn: str | None) -> str:
    if arn is None:
        return ""
    secret: str = emulator.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    return secret


def _cdk(
    *arguments: str,
    home: Path,
    cwd: Path,
    emulator: Emulator | None = None,
    credentials: Mapping[str, str] = _ROOT_USER,
) -> None:
    """Run the CDK CLI; without an emulator it can reach no AWS at all."""
    if not CDK.exists():
        raise EmulatorError(f"The CDK CLI is not in {CDK.parent}; `make deploy-local` and `make test` install it.")
    where = emulator.endpoint if emulator else "http://127.0.0.1:9"
    certificate = emulator.certificate if emulator else None
    done = subprocess.run(  # noqa: S603 - our own command
        [CDK, "--no-notices", *arguments],
        cwd=cwd,
        env=environment(
            home,
            AWS_ENDPOINT_URL=where,
            AWS_ENDPOINT_URL_S3=where,
            CDK_DISABLE_CLI_TELEMETRY="true",
            **({"NODE_EXTRA_CA_CERTS": str(certificate.authority)} if certificate else {}),
            **credentials,
        ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise EmulatorError(f"cdk {arguments[0]} failed:\n{done.stdout}")
