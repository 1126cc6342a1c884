"""`cdk synth` as people type it, on a machine that has nothing of AWS and no network."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from emulator.tools import CDK, NODE, ROOT
from tests.support.synthesis import Synthesis


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A PATH with what `cdk synth` may need, so that there is no Docker."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "node").symlink_to(NODE)
    (folder / "sh").symlink_to("/bin/sh")
    python = folder / "python3"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')  # a link would forget its environment
    python.chmod(0o755)
    return folder


def synth(path: Path, output: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the CDK CLI without credentials and region, and with no way out."""
    nowhere = "http://127.0.0.1:9"
    return subprocess.run(  # noqa: S603 - our own command
        [CDK, "synth", "--quiet", f"--output={output}", *arguments],
        cwd=ROOT,
        env={
            "PATH": str(path),
            "HOME": str(Path.home()),  # where jsii keeps the unpacked CDK
            "HTTP_PROXY": nowhere,
            "HTTPS_PROXY": nowhere,
            "AWS_EC2_METADATA_DISABLED": "true",
            "CDK_DISABLE_CLI_TELEMETRY": "true",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def properties(template: Mapping[str, Any]) -> dict[str, object]:
    """Return what a template asks for, without the notes for tools; the CLI adds some of its own."""
    return {name: resource.get("Properties") for name, resource in template["Resources"].items()}


@pytest.mark.slow
def test_cdk_synth_needs_no_network_no_docker_and_no_account(stack: Synthesis, path: Path, tmp_path: Path) -> None:
    done = synth(path, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "feature flags" not in done.stdout + done.stderr, "cdk flags --unstable=flags --set --recommended --all"
    template = json.loads((tmp_path / "out" / "TaskScheduler.template.json").read_text())
    assert properties(template) == properties(stack.template)


@pytest.mark.slow
def test_cdk_synth_says_in_words_what_is_wrong_with_a_setting(path: Path, tmp_path: Path) -> None:
    done = synth(path, tmp_path / "out", "-c", "scheduler:log_retention_days=31")
    assert done.returncode != 0
    assert (
        "Task Scheduler: The CDK context (-c): log_retention_days must be one of 1, 3, 5," in done.stdout + done.stderr
    )
    assert "Traceback" not in done.stdout + done.stderr
