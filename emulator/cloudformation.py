"""What the CDK CLI does to bootstrap and to create a stack, by the same calls, in a second instead of half a minute."""

import io
import json
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from emulator.process import Emulator, EmulatorError
from emulator.tools import ACCOUNT, REGION, ROOT

_BOOTSTRAP: Final = ROOT / "node_modules/aws-cdk/lib/api/bootstrap/bootstrap-template.yaml"
_WITHIN_S: Final = 120


def bootstrap(emulator: Emulator, *policies: str) -> None:
    """Create the stack of `cdk bootstrap`; CloudFormation gets these policies, by their ARNs."""
    given = {"CloudFormationExecutionPolicies": ",".join(policies)}
    _create(emulator, "CDKToolkit", given, TemplateBody=_BOOTSTRAP.read_text())


def create_stack(emulator: Emulator, assembly: Path) -> tuple[str, Mapping[str, str]]:
    """Upload the assets of the one stack of an assembly, create it, and return its name and its outputs.

    What a failed creation has left of it is deleted first, as the CDK CLI does; raises EmulatorError if this one fails.
    """
    [template] = assembly.glob("*.template.json")
    name = template.name.removesuffix(".template.json")
    assets = json.loads((assembly / f"{name}.assets.json").read_text())["files"]
    s3 = emulator.client("s3")
    url = ""
    for asset in assets.values():
        source = assembly / asset["source"]["path"]
        [destination] = asset["destinations"].values()
        bucket, key = _here(destination["bucketName"]), _here(destination["objectKey"])
        s3.put_object(Bucket=bucket, Key=key, Body=_packed(source, asset["source"]["packaging"]))
        if source == template:
            url = f"https://s3.{REGION}.amazonaws.com/{bucket}/{key}"
    return name, _create(emulator, name, {}, TemplateURL=url)


def _create(emulator: Emulator, name: str, parameters: Mapping[str, str], **template: str) -> Mapping[str, str]:
    stacks = emulator.client("cloudformation")
    if _status(stacks, name) == "ROLLBACK_COMPLETE":
        stacks.delete_stack(StackName=name)
        _ended(stacks, name)
    stacks.create_stack(
        StackName=name,
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        **template,
    )
    if _ended(stacks, name) != "CREATE_COMPLETE":
        events = stacks.describe_stack_events(StackName=name)["StackEvents"]
        reasons = [event["ResourceStatusReason"] for event in events if event.get("ResourceStatusReason")]
        raise EmulatorError(f"The stack {name} could not be created:\n" + "\n".join(reasons))
    [stack] = stacks.describe_stacks(StackName=name)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _ended(stacks: Any, name: str) -> str | None:  # noqa: ANN401 - a client
    """Wait until an operation on a stack has ended; return the status, None if it is gone."""
    deadline = time.monotonic() + _WITHIN_S
    while (status := _status(stacks, name)) and status.endswith("_IN_PROGRESS") and time.monotonic() < deadline:
        time.sleep(0.1)
    return status


def _status(stacks: Any, name: str) -> str | None:  # noqa: ANN401 - a client
    try:
        [stack] = stacks.describe_stacks(StackName=name)["Stacks"]
    except stacks.exceptions.ClientError:
        return None
    status: str = stack["StackStatus"]
    return None if status == "DELETE_COMPLETE" else status


def _here(name: str) -> str:
    return name.replace("${AWS::AccountId}", ACCOUNT).replace("${AWS::Region}", REGION)


def _packed(source: Path, packaging: str) -> bytes:
    """Return an asset as it is uploaded: a file as it is, a folder as a ZIP file."""
    if packaging == "file":
        return source.read_bytes()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(source.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(source))
    return packed.getvalue()
