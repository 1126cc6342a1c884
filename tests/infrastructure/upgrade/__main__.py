"""Stores what the present tree deploys with default settings, as the CDK CLI takes it: `cdk deploy --app FOLDER`.

The same tree gives the same files. The archive holds only this project's code, without the API viewer: in the emulator
the functions find their packages in the environment of the tests.
"""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from unittest import mock
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from aws_cdk import aws_lambda as lambda_

from stacks.settings import Settings
from task_scheduler.cdk.bundle import OURS, bundle
from tests.infrastructure.upgrade import BASELINE
from tests.support.synthesis import synthesise

_VIEWER: Final = "swagger-ui"
_DEPLOYED: Final = frozenset({"cdk:asset-manifest", "aws:cloudformation:stack"})
"""The types of artifacts that a deployment reads; others are for tools that show the tree of constructs."""


def write_baseline(folder: Path) -> None:
    """Replace the folder by a cloud assembly of the present tree."""
    with TemporaryDirectory() as name:
        archive, assembly = Path(name) / "code.zip", Path(name) / "assembly"
        _pack(Path(name) / "code", archive)
        code = lambda_.Code.from_asset(str(archive))
        with mock.patch.object(lambda_.Code, "from_asset", return_value=code):
            synthesise(assembly, Settings())
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for file in (*assembly.glob("*.template.json"), *assembly.glob("*.assets.json"), *assembly.glob("asset.*")):
            shutil.copyfile(file, folder / file.name)
        manifest = json.loads((assembly / "manifest.json").read_text())
    artifacts = {name: one for name, one in manifest["artifacts"].items() if one["type"] in _DEPLOYED}
    for artifact in artifacts.values():
        artifact.pop("additionalMetadataFile", None)
    manifest = {"version": manifest["version"], "artifacts": artifacts}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


def _pack(folder: Path, archive: Path) -> None:
    """Pack the code of the functions, which is copied into the folder."""
    bundle(folder)
    with ZipFile(archive, "w") as packed:
        for source in sorted(path for name in OURS for path in (folder / name).rglob("*") if path.is_file()):
            if not source.name.startswith(_VIEWER):
                entry = ZipInfo(source.relative_to(folder).as_posix())  # dated 1980, whenever it is written
                entry.external_attr = 0o644 << 16
                packed.writestr(entry, source.read_bytes(), ZIP_DEFLATED, compresslevel=9)


if __name__ == "__main__":
    write_baseline(BASELINE)
