"""Keeps what a version deploys and writes, and unpacks it again to be deployed."""

import json
import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import aws_cdk as cdk

from releases.sample import write_sample
from stacks.bundle import OURS, ROOT
from stacks.settings import Settings
from stacks.task_scheduler_stack import TaskSchedulerStack

RELEASES: Final = ROOT / "releases"
CODE: Final = "code.zip"
# No function reads them before a browser asks for them, and they are larger than all the rest.
THIRD_PARTY: Final = "swagger-ui"
_KEPT_ARTIFACTS: Final = frozenset({"cdk:asset-manifest", "aws:cloudformation:stack"})
_LONG_AGO: Final = (1980, 1, 1, 0, 0, 0)  # the same code gives the same archive


class ReleaseError(RuntimeError):
    """Nothing can be kept; the text is a sentence for the maintainer."""


def releases(folder: Path = RELEASES) -> list[Path]:
    """Return the folders of the releases that are kept, oldest first."""
    return sorted(folder.glob("*.*.*"), key=lambda release: [int(part) for part in release.name.split(".")])


def check(version: str, *, changes: str, folder: Path = RELEASES) -> None:
    """Refuse what is not a release; `changes` is what git says of the tree."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise ReleaseError(f"{version} is not the version of a release; write that into task_scheduler/__init__.py.")
    if (folder / version).exists():
        raise ReleaseError(f"{folder.name}/{version} is there already: what was released does not change.")
    if changes:
        raise ReleaseError(f"Commit first; these files differ from the last commit:\n{changes}")


def keep(folder: Path) -> None:
    """Fill the folder with the template, the code of the functions and a data file of the local engine."""
    with TemporaryDirectory() as name:
        assembly = Path(name)
        context = json.loads((ROOT / "cdk.json").read_text())["context"] | {"aws:cdk:enable-path-metadata": True}
        app = cdk.App(outdir=name, analytics_reporting=False, context=context)
        TaskSchedulerStack(app, Settings().stack, settings=Settings())
        app.synth()
        manifest = _without_notes(json.loads((assembly / "manifest.json").read_text()))
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
        for kind in ("assets", "template"):
            file = f"{Settings().stack}.{kind}.json"
            shutil.copyfile(assembly / file, folder / file)
        [asset] = assembly.glob("asset.*")
        _pack(asset, folder / CODE)
    write_sample(folder)


def unpacked(release: Path, folder: Path, *, packages: Path) -> Path:
    """Make of a kept release what `cdk deploy --app` takes; what it had of others comes from another asset."""
    shutil.copytree(release, folder)
    manifest = json.loads((folder / f"{Settings().stack}.assets.json").read_text())
    [asset] = [file["source"]["path"] for file in manifest["files"].values() if file["source"]["packaging"] == "zip"]
    shutil.copytree(packages, folder / asset, ignore=lambda at, _: OURS if Path(at) == packages else ())
    with ZipFile(release / CODE) as archive:
        archive.extractall(folder / asset)
    return folder


def _without_notes(manifest: dict[str, Any]) -> dict[str, Any]:
    """Leave away what is for tools that show where things come from."""
    artifacts = {name: one for name, one in manifest["artifacts"].items() if one["type"] in _KEPT_ARTIFACTS}
    for artifact in artifacts.values():
        artifact.pop("additionalMetadataFile", None)
    return {"version": manifest["version"], "artifacts": artifacts}


def _pack(asset: Path, archive: Path) -> None:
    """Pack the files that are ours."""
    with ZipFile(archive, "w", ZIP_DEFLATED, compresslevel=9) as packed:
        for source in sorted(path for name in OURS for path in (asset / name).rglob("*") if path.is_file()):
            if not source.name.startswith(THIRD_PARTY):
                entry = ZipInfo(source.relative_to(asset).as_posix(), _LONG_AGO)
                entry.external_attr = 0o644 << 16
                packed.writestr(entry, source.read_bytes(), ZIP_DEFLATED)
