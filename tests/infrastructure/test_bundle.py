"""What the functions carry: enough, no more, the same each time, and for any kind of machine."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest

from task_scheduler.cdk import bundle as bundling
from task_scheduler.cdk.bundle import COMPILED, NOT_IN_FUNCTIONS, BundleError, bundle
from tests.support.synthesis import Synthesis

# What Lambda's Python has beside the standard library.
RUNTIME_PACKAGES: Final = ("boto3", "botocore", "dateutil", "s3transfer", "six", "urllib3")


@pytest.fixture
def umask() -> Iterator[None]:
    """One that keeps files from everybody else."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return the bytes and the mode of each file."""
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mode)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_all_functions_share_one_asset_of_less_than_five_megabytes(stack: Synthesis, tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "asset"), "zip", stack.code())
    assert Path(archive).stat().st_size < 5_000_000


def test_the_asset_has_the_library_without_what_runs_on_one_machine(stack: Synthesis) -> None:
    files = contents(stack.code())
    assert {"lambdas/api.py", "task_scheduler/task.py", "task_scheduler/api/openapi.json"} <= files.keys()
    assert not [name for name in files if name.startswith(NOT_IN_FUNCTIONS)]
    assert {name.partition("/")[0] for name in files} == {
        "aws_lambda_powertools",
        "jmespath",
        "lambdas",
        "task_scheduler",
        "typing_extensions.py",
        "tzdata",
    }


def test_the_asset_runs_on_any_kind_of_machine(stack: Synthesis) -> None:
    files = contents(stack.code())
    assert not [name for name in files if Path(name).suffix in COMPILED or "__pycache__" in name]


def test_the_same_checkout_gives_the_same_asset(stack: Synthesis, tmp_path: Path, umask: None) -> None:  # noqa: ARG001 - it is in force
    bundle(tmp_path)
    assert contents(tmp_path) == contents(stack.code())


@pytest.mark.slow
def test_each_function_starts_with_what_it_carries_and_what_lambda_has(stack: Synthesis, tmp_path: Path) -> None:
    """In a Python of its own that sees no other installed package."""
    for name in RUNTIME_PACKAGES:
        spec = find_spec(name)
        assert spec
        assert spec.origin
        origin = Path(spec.origin)
        (tmp_path / name).symlink_to(origin.parent) if origin.name == "__init__.py" else (
            tmp_path / origin.name
        ).symlink_to(origin)
    for function in stack.resources("Lambda::Function"):
        module = function.properties["Handler"].rpartition(".")[0]
        environment = {
            name: stack.text(value) for name, value in function.properties["Environment"]["Variables"].items()
        }
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-B", "-S", "-c", f"from {module} import handler"],
            cwd=stack.code(),
            env=environment
            | {"PYTHONPATH": str(tmp_path), "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_the_functions_know_time_zones_where_the_machine_does_not(stack: Synthesis) -> None:
    script = "from task_scheduler.time_zones import find_zone; print(find_zone('Europe/Berlin'))"
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-B", "-S", "-c", script],
        cwd=stack.code(),
        env={"PYTHONTZPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "Europe/Berlin\n", done.stderr


def test_a_package_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "lambda.txt"
    lock.write_text("no-such-package==1.0 \\\n    --hash=sha256:00\n")
    monkeypatch.setattr(bundling, "LOCK", lock)
    with pytest.raises(BundleError, match=r"^no-such-package 1\.0 is not installed"):
        bundle(tmp_path / "asset")


def test_a_package_of_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "lambda.txt"
    lock.write_text("jmespath==0.0.1\n")
    monkeypatch.setattr(bundling, "LOCK", lock)
    with pytest.raises(BundleError, match=r"^jmespath [\d.]+ is installed, but lambda.txt wants 0\.0\.1"):
        bundle(tmp_path / "asset")


def test_an_installation_without_the_checkout_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundling, "LOCK", tmp_path / "requirements" / "lambda.txt")
    with pytest.raises(BundleError, match=r"lambda\.txt is missing\. Install task-scheduler from its checkout"):
        bundle(tmp_path / "asset")


def test_a_compiled_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "lambda.txt"
    lock.write_text(f"uvloop=={version('uvloop')}\n")
    monkeypatch.setattr(bundling, "LOCK", lock)
    with pytest.raises(BundleError, match=r"\.so is compiled for one kind of machine"):
        bundle(tmp_path / "asset")
