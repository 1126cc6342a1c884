"""Holds examples/README.md: every file is in it, and every command in it is run by a test."""

import ast
import re
import sys
from pathlib import Path
from typing import Final

from tests.examples.printed import COMMANDS, EXAMPLES, README

# What a reader does once: where Task Scheduler is, and what the examples import.
SETUP: Final = ("export ", ". .venv", "pip install -r examples/requirements.txt")


def commands_in_tests() -> set[str]:
    """Return every command that a test takes from README.md, by `printed`."""
    return {
        node.args[0].value
        for file in Path(__file__).parent.glob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "printed"
        if isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
    }


def files() -> list[str]:
    return [
        str(file.relative_to(EXAMPLES))
        for file in sorted(EXAMPLES.rglob("*"))
        if file.is_file() and file.name != "README.md" and "__pycache__" not in file.parts
    ]


def test_every_printed_command_is_run_by_a_test() -> None:
    assert commands_in_tests() == {command for command in COMMANDS if not command.startswith(SETUP)}


def test_every_example_is_shown_with_a_link_and_a_command() -> None:
    assert files()
    for name in files():
        assert f"({name})" in README, name
        folder = name.partition("/")[0]
        assert any(f"examples/{folder}" in command for command in COMMANDS), name


def test_everything_that_examples_import_is_in_their_requirements() -> None:
    ours = {"httpx", "task_scheduler"}  # Task Scheduler brings them
    imported = {
        name.partition(".")[0]
        for file in EXAMPLES.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    lines = (EXAMPLES / "requirements.txt").read_text().splitlines()
    required = {line.partition(">=")[0] for line in lines if not line.startswith("#")}
    foreign = imported - ours - {"botocore"}  # botocore comes with boto3
    assert required == {name for name in foreign if name not in sys.stdlib_module_names}
    assert "://" not in "".join(lines)


def test_the_examples_know_nothing_of_task_scheduler_but_its_client() -> None:
    for file in EXAMPLES.rglob("*.py"):
        assert set(re.findall(r"\btask_scheduler\b[.\w]*", file.read_text())) <= {"task_scheduler.client"}


def test_the_command_lines_of_the_docstrings_are_those_of_the_readme() -> None:
    reminders = (EXAMPLES / "reminders.py").read_text().partition('"""\n\n')[0]
    shown = [line for line in reminders.splitlines() if line.startswith("reminders.py ")]
    printed = [command for command in COMMANDS if "reminders.py" in command]
    assert [f"python examples/{line}" for line in shown] == [command.replace("$ID", "ID") for command in printed]
