"""Checkers of what people read: each takes a document and returns what it says that is not so."""

import ast
import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Final

import botocore.session
import click
from botocore import xform_name

from stacks.settings import Settings
from task_scheduler.api.routes import ROUTES
from task_scheduler.cli.main import app

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("README.md")),
]
MAKEFILE: Final = (ROOT / "Makefile").read_text()
LOCAL_ROUTES: Final = {
    "/metrics": {"GET"},
    "/clock": {"POST"},
    "/webhooks": {"GET"},
    "/webhooks/acknowledge": {"POST"},
}

_FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Of every command, and one that the CLI has renamed since it has an --endpoint-url of its own.
_AWS_OPTIONS: Final = {"query", "output", "region", "profile", "notification-endpoint"}

Check = Callable[[str, Path], list[str]]


def blocks(text: str, language: str) -> list[str]:
    """Return the code blocks in a language."""
    return [code for found, code in _FENCE.findall(text) if found == language]


def code(text: str) -> list[str]:
    """Return each piece of code that stands between backticks."""
    return re.findall(r"`([^`\n]+)`", _FENCE.sub("", text))


def commands(text: str, program: str) -> Iterator[list[str]]:
    """Yield the words of each command that a document shows: at a prompt, or between backticks."""
    lines = [line for block in blocks(text, "console") for line in block.replace("\\\n", " ").splitlines()]
    shown = [line.removeprefix("$ ").removeprefix("sudo ") for line in lines if line.startswith("$ ")]
    for line in [*shown, *(piece for piece in code(text) if piece.startswith(f"{program} "))]:
        for part in re.split(r" (?:&&|\|) ", line.partition(" #")[0]):
            words = shlex.split(part)
            if words and words[0] == program:
                yield words[1:]


def matches(path: str, template: str) -> bool:
    """Return whether a path is one of a route, such as /tasks/{task_id}."""
    return re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)), path) is not None


def _is_route(method: str, path: str) -> bool:
    routes: dict[str, set[str]] = {**{path: set(methods) for path, methods in ROUTES.items()}, **LOCAL_ROUTES}
    return any(method in methods and matches(path, template) for template, methods in routes.items())


def routes(text: str, _document: Path) -> list[str]:
    found = re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/[^`?\s]*)", text)
    return [f"{method} {path}" for method, path in found if not path.startswith("/v1/") and not _is_route(method, path)]


def requests(text: str) -> Iterator[tuple[str, str]]:
    """Yield the method and path of each curl command."""
    for words in commands(text, "curl"):
        [url] = [word for word in words if re.match(r"\$URL/|https?://", word)]
        path = re.sub(r"^\$URL|^https?://[^/]+(/v1(?=/))?", "", url).partition("?")[0]
        yield words[words.index("-X") + 1] if "-X" in words else "POST" if "-d" in words else "GET", path


def curls(text: str, _document: Path) -> list[str]:
    return [f"{method} {path}" for method, path in requests(text) if not _is_route(method, path)]


def options(text: str, _document: Path) -> list[str]:
    context = click.Context(app)
    wrong = []
    shown = [*commands(text, "task-scheduler")]
    for name in app.list_commands(context):  # as people shorten it: `serve --port 0`
        shown += [shlex.split(piece) for piece in code(text) if piece.startswith(f"{name} --")]
    for words in shown:
        place: click.Command = app
        for word in words:
            if place is app and (command := app.get_command(context, word)):
                place = command
            elif word.startswith("--"):
                known = {option for part in (place, app) for parameter in part.params for option in parameter.opts}
                wrong += [word] if word.partition("=")[0] not in known | {"--help"} else []
        if place is app and any(re.fullmatch(r"[a-z]+", word) for word in words[:1]):
            wrong.append(words[0])
    return wrong


def verbs(text: str, _document: Path) -> list[str]:
    known = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))
    wrong = []
    for words in commands(text, "make"):
        wrong += [word for word in words[:1] if re.fullmatch(r"[a-z-]+", word) and word not in known]
        given = [word.partition("=")[0] for word in words if re.match(r"[A-Z]+=", word)]
        wrong += [name for name in given if not re.search(rf"\$\((?:or \$\()?{name}\b|value {name}\b", MAKEFILE)]
    return wrong


def settings(text: str, _document: Path) -> list[str]:
    known = {field.name for field in fields(Settings)} | {"file"}
    given = re.findall(r"scheduler:([a-z_]+)", text)
    for block in blocks(text, "toml"):
        given += tomllib.loads(block)
    return sorted(set(given) - known)


def variables(text: str, _document: Path) -> list[str]:
    return sorted(set(re.findall(r"\bTASK_SCHEDULER_[A-Z_]+", text)) - _variables())


@cache
def _variables() -> set[str]:
    sources = "".join(file.read_text() for file in (ROOT / "task_scheduler").rglob("*.py"))
    return set(re.findall(r"\"(TASK_SCHEDULER_[A-Z_]+)\"", sources))


def json_blocks(text: str, _document: Path) -> list[str]:
    wrong = []
    for block in blocks(text, "json"):
        try:
            json.loads(block)
        except ValueError as error:
            wrong.append(f"{error}: {block[:60]}")
    return wrong


def python_blocks(text: str, _document: Path) -> list[str]:
    wrong = []
    for block in blocks(text, "python"):
        try:
            compile(block, "a document", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        except SyntaxError as error:
            wrong.append(f"{error}: {block[:60]}")
    return wrong


def paths(text: str, _document: Path) -> list[str]:
    found = [
        piece
        for piece in code(text)
        if re.fullmatch(r"(?:[\w.-]+/)+[\w.-]*\.(?:py|json|md|toml|cjs|yml)|(?:tests|docs)/\S+", piece)
    ]
    return [path for path in found if not (ROOT / path).exists()]


def names(text: str, document: Path) -> list[str]:
    """Look up `module.function` and `Class.method`; only the page on the architecture names code like that."""
    if document.name != "architecture.md":
        return []
    found = [piece for piece in code(text) if re.fullmatch(r"[A-Za-z_]\w*\.\w+", piece)]
    return [name for name in found if name not in _names() and not re.search(r"\.(?:py|json|md|db)$", name)]


@cache
def _names() -> set[str]:
    known = set()
    for part in ("task_scheduler", "lambdas", "stacks"):
        for file in (ROOT / part).rglob("*.py"):
            tree = ast.parse(file.read_text())
            for node in tree.body:
                if isinstance(node, ast.ClassDef):
                    known |= {
                        f"{node.name}.{inner.name}"
                        for inner in node.body
                        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)
                    }
                elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    known.add(f"{file.stem}.{node.name}")
                elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                    known.add(f"{file.stem}.{node.target.id}")
    return known


def aws_commands(text: str, _document: Path) -> list[str]:
    wrong = []
    for words in commands(text, "aws"):
        called = " ".join(words[:2])
        inputs = _aws_inputs(*words[:2])
        if inputs is None:
            wrong.append(called)
            continue
        given = {re.sub(r"^--(?:no-)?", "", word) for word in words if word.startswith("--")}
        wrong += [f"{called} --{name}" for name in sorted(given - inputs - _AWS_OPTIONS)]
    return wrong


@cache
def _aws_inputs(service: str, operation: str) -> set[str] | None:
    """Return the options of a command of the AWS CLI, None if there is no such command."""
    session = botocore.session.get_session()
    if service not in session.get_available_services():
        return None
    model = session.get_service_model(service)
    for name in model.operation_names:
        if xform_name(name, "-") == operation:
            shape = model.operation_model(name).input_shape
            return {xform_name(member, "-") for member in shape.members} if shape else set()
    return None


CHECKS: Final[Mapping[str, Check]] = {
    check.__name__: check
    for check in (
        routes,
        curls,
        options,
        verbs,
        settings,
        variables,
        json_blocks,
        python_blocks,
        paths,
        names,
        aws_commands,
    )
}
