"""Holds what two files of the house must agree on: pins, locks, versions, and what people type."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
LOCKS: Final = ("deploy", "dev", "lambda", "node", "run", "uv")
PROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAKEFILE: Final = (ROOT / "Makefile").read_text()

_BLOCK: Final = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>[^ ]+)(?P<rest>(?:[^\n]*\\\n)+[^\n]*)", re.MULTILINE)
_HASH: Final = re.compile(r"--hash=sha256:[0-9a-f]{64}\b")


def lock(name: str) -> str:
    return (ROOT / "requirements" / f"{name}.txt").read_text()


def pins(name: str) -> dict[str, set[str]]:
    """Return each package of a lock with its versions: more than one where they depend on the Python."""
    found: dict[str, set[str]] = {}
    for block in _BLOCK.finditer(lock(name)):
        found.setdefault(block["name"], set()).add(block["version"])
    return found


def oldest_python() -> str:
    return str(PROJECT["project"]["requires-python"].removeprefix(">="))


def test_the_cdk_cli_is_the_release_that_reads_what_our_cdk_library_writes() -> None:
    """`3.0.0` on npm is an accidental publish of old code, tagged `latest`; it cannot read our assemblies."""
    assert json.loads((ROOT / "package.json").read_text())["dependencies"] == {"aws-cdk": "2.1148.1"}


def test_every_npm_package_is_pinned_exactly_and_as_locked() -> None:
    manifest = json.loads((ROOT / "package.json").read_text())
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    for kind in ("dependencies", "devDependencies"):
        assert manifest[kind] == locked[""][kind]
        for name, version in manifest[kind].items():
            number = re.sub(r"^npm:[a-z]+@", "", version)  # two versions of a package have a name of their own each
            assert re.fullmatch(r"\d+\.\d+\.\d+", number)
            assert locked[f"node_modules/{name}"]["version"] == number


def test_the_npm_lock_names_no_registry_and_holds_a_hash_for_every_package() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    del packages[""]
    assert packages
    for name, package in packages.items():
        assert "resolved" not in package, name
        assert package["integrity"].startswith("sha512-"), name
        package.pop("funding", None)  # links to sponsors, not to a registry
    assert "://" not in json.dumps(packages)


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_of_a_lock_is_pinned_with_hashes(name: str) -> None:
    blocks = list(_BLOCK.finditer(lock(name)))
    requirements = [line for line in lock(name).splitlines() if line[:1] not in {" ", "#", ""}]
    assert requirements
    assert len(blocks) == len(requirements)
    assert all(_HASH.search(block["rest"]) for block in blocks)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_registry_and_no_folder_of_a_machine(name: str) -> None:
    assert "://" not in lock(name)
    assert not re.search(r"(?:^|[ =])(?:/|[A-Z]:\\)", lock(name), re.MULTILINE)
    assert not re.search(r"^\s*-", lock(name).replace("    --hash=", ""), re.MULTILINE)


@pytest.mark.parametrize("name", ["deploy", "lambda", "node", "run", "uv"])
def test_development_has_the_very_versions_of_every_other_lock(name: str) -> None:
    development = pins("dev")
    assert pins(name)
    assert {package: development.get(package) for package in pins(name)} == pins(name)


def test_what_deploys_has_all_that_the_functions_carry_and_nothing_of_the_tests() -> None:
    assert pins("lambda").items() <= pins("deploy").items()
    assert {"aws-cdk-lib", "constructs", "boto3"} <= pins("deploy").keys()
    assert not {"pytest", "ministack", "moto", "cdk-preflight", "cdk-nag"} & pins("deploy").keys()


def test_every_requirement_that_people_wrote_is_locked_as_they_wrote_it() -> None:
    for name in (*LOCKS, "docs"):
        written = (ROOT / "requirements" / f"{name}.in").read_text().splitlines()
        if name == "run":
            written += PROJECT["project"]["dependencies"]
        for requirement in written:
            if found := re.match(r"([A-Za-z0-9_.-]+)(?:\[.*\])?(?:==([0-9.]+)(?: |$))?", requirement):
                versions = pins("dev" if name == "docs" else name)[found[1].lower().replace("_", "-")]
                assert found[2] is None or versions == {found[2]}


def test_the_oldest_python_is_the_same_everywhere() -> None:
    oldest = oldest_python()
    classifiers = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["project"]["classifiers"]))
    minor = int(oldest.removeprefix("3."))
    assert classifiers == [f"3.{minor + newer}" for newer in range(len(classifiers))]
    assert PROJECT["tool"]["mypy"]["python_version"] == oldest
    assert "target-version" not in PROJECT["tool"]["ruff"]  # ruff reads requires-python
    assert re.findall(r"--python-version (\S+)", MAKEFILE) == [oldest]
    assert re.findall(r"version_info < \((\d+), (\d+)\)", MAKEFILE) == [tuple(oldest.split("."))]
    assert set(re.findall(r"Python ([\d.]+\d) or newer", MAKEFILE)) == {oldest}
    assert sys.version_info >= (3, minor)


@pytest.mark.slow
@pytest.mark.parametrize(
    "check",
    [("ruff", "format", "--check"), ("ruff", "check"), ("mypy",), ("lint-imports", "--no-logo")],
    ids=["format", "lint", "types", "imports"],
)
def test_the_code_passes_what_make_check_looks_at(check: tuple[str, ...]) -> None:
    assert f"\t.venv/bin/{' '.join(check)}" in MAKEFILE
    done = subprocess.run(  # noqa: S603 - our own tools
        [Path(sys.executable).with_name(check[0]), *check[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
