"""A synthesised stack, read by what its resources are for and not by the names that CDK makes up."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aws_cdk as cdk
import pytest
from aws_cdk import IPolicyValidationPlugin
from filelock import FileLock

from stacks.settings import Settings
from stacks.task_scheduler_stack import TaskSchedulerStack
from tests.support.shared import shared_folder

ROOT: Final = Path(__file__).resolve().parents[2]
CONTEXT: Final[Mapping[str, Any]] = json.loads((ROOT / "cdk.json").read_text())["context"]


@dataclass(frozen=True)
class Resource:
    """A resource: its logical id, its place among the constructs, its type, its properties, and all of it."""

    name: str
    path: str
    type: str
    properties: Mapping[str, Any]
    whole: Mapping[str, Any]


@dataclass(frozen=True)
class Synthesis:
    """What `cdk synth` leaves behind."""

    folder: Path
    template: Mapping[str, Any]
    warnings: tuple[str, ...]

    def resources(self, kind: str, *, under: str = "") -> list[Resource]:
        """Return the resources of a type, such as `SQS::Queue`, in a part of the stack."""
        return [
            found for found in self._all().values() if found.type == f"AWS::{kind}" and found.path.startswith(under)
        ]

    def resource(self, kind: str, *, under: str = "") -> Resource:
        """Return the only resource of a type in a part of the stack."""
        [found] = self.resources(kind, under=under)
        return found

    def text(self, value: object, given: Mapping[str, str] | None = None) -> str:
        """Write an expression of CloudFormation as text: `<Registry/Tasks.Arn>`, or what is given for it."""
        if isinstance(value, str):
            return value
        match value:
            case {"Ref": str(name)}:
                expression = self._name(name)
            case {"Fn::GetAtt": [str(name), str(attribute)]}:
                expression = f"{self._name(name)}.{attribute}"
            case {"Fn::Join": [str(separator), list(parts)]}:
                return separator.join(self.text(part, given) for part in parts)
            case _:
                raise ValueError(value)
        return (given or {}).get(expression, f"<{expression}>")

    def definition(self, given: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the definition of the state machine."""
        machine = self.resource("StepFunctions::StateMachine")
        definition: dict[str, Any] = json.loads(self.text(machine.properties["DefinitionString"], given))
        return definition

    def code(self) -> Path:
        """Return the folder of the one asset that all functions share."""
        [folder] = {
            self.folder / f"asset.{function.properties['Code']['S3Key'].removesuffix('.zip')}"
            for function in self.resources("Lambda::Function")
        }
        return folder

    def calls(self, policy: Resource) -> list[tuple[str, str]]:
        """Return each action of a policy with what it may be done to, one by one and in their order."""
        return [(one["Action"], self.text(one["Resource"])) for one in singles(policy.properties["PolicyDocument"])]

    def _all(self) -> dict[str, Resource]:
        return {
            name: Resource(name, _path(whole), whole["Type"], whole.get("Properties", {}), whole)
            for name, whole in self.template["Resources"].items()
        }

    def _name(self, logical_id: str) -> str:
        return logical_id if logical_id.startswith("AWS::") else _path(self.template["Resources"][logical_id])


def synthesise(folder: Path, settings: Settings, *plugins: Callable[[cdk.App], IPolicyValidationPlugin]) -> Synthesis:
    """Synthesise in this process, where CDK is loaded only once."""
    app = cdk.App(
        outdir=str(folder), analytics_reporting=False, context={**CONTEXT, "aws:cdk:enable-path-metadata": True}
    )
    for plugin in plugins:
        cdk.Validations.of(app).add_plugins(plugin(app))
    TaskSchedulerStack(app, settings.stack, settings=settings)
    app.synth()
    return read_synthesis(folder, settings.stack)


def shared_synthesis(factory: pytest.TempPathFactory, settings: Settings) -> Synthesis:
    """Return what the first of the test processes that needs it synthesises, for all of them; to be read only."""
    folder = shared_folder(factory) / f"synthesis-{hashlib.sha256(repr(settings).encode()).hexdigest()[:16]}"
    with FileLock(f"{folder}.lock"):
        if not (folder / "manifest.json").exists():  # the file that is written last
            synthesise(folder, settings)
    return read_synthesis(folder, settings.stack)


def singles(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the statements of a policy, each taken apart until it has one action and one resource."""
    return [
        {**statement, "Action": action, "Resource": resource}
        for statement in document["Statement"]
        for action in listed(statement["Action"])
        for resource in (statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]])
    ]


def listed(value: str | list[str]) -> list[str]:
    """Return what a policy writes as one or as several, as several."""
    return [value] if isinstance(value, str) else value


def read_synthesis(folder: Path, stack: str) -> Synthesis:
    """Return what was synthesised into a folder for the stack of this name."""
    template = json.loads((folder / f"{stack}.template.json").read_text())
    return Synthesis(folder, template, _warnings(folder, stack))


def _warnings(folder: Path, stack: str) -> tuple[str, ...]:
    """Return the warnings as the CDK CLI finds them in the files.

    Not by `artifact.messages`: aws-cdk-lib and aws-cdk.cloud-assembly-schema both bring the module of its types, and it
    can read them only where the installer happened to write aws-cdk-lib's last.
    """
    manifest = json.loads((folder / "manifest.json").read_text())
    metadata = json.loads((folder / manifest["artifacts"][stack]["additionalMetadataFile"]).read_text())
    entries = (entry for found in metadata.values() for entry in found)
    return tuple(entry["data"] for entry in entries if entry["type"] == "aws:cdk:warning")


def _path(resource: Mapping[str, Any]) -> str:
    """Return the path of the construct without the stack and without CDK's own `Resource` and `Default`."""
    path: str = resource["Metadata"]["aws:cdk:path"]
    _stack, *parts = path.split("/")
    return "/".join(part for part in parts if part not in {"Resource", "Default", "DefaultPolicy"})
