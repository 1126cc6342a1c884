"""The command line before a command does anything: help, completion, what is imported."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner, Result

from task_scheduler.cli.main import app


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def _loaded_by(command: list[str], before: str = "") -> set[str]:
    """Return the modules that a command has imported when it ends, in a process of its own."""
    code = (
        f"import sys\n{before}\n"
        "from task_scheduler.cli.main import app\n"
        f"app({command!r}, standalone_mode=False)\n"
        "print(*sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - our own
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "command", [["--help"], ["--version"], ["schedule", "--help"], ["import", "--help"], ["serve", "--help"]]
)
def test_help_does_not_wait_for_what_it_does_not_need(command: list[str]) -> None:
    heavy = {"httpx", "granian", "starlette", "prometheus_client", "sqlite3", "asyncio", "rich", "pydantic", "typer"}
    loaded = _loaded_by(command)
    assert "click" in loaded
    assert not heavy & loaded


def test_a_server_does_not_carry_what_only_other_commands_need() -> None:
    ends_at_once = "from task_scheduler.local import server\nserver.serve = lambda options, announce: announce('here')"
    loaded = _loaded_by(["serve"], before=ends_at_once)
    assert "granian" in loaded
    assert not {"rich", "pydantic", "typer", "task_scheduler.client"} & loaded
    assert {name for name in loaded if name.startswith("task_scheduler.cli.")} == {
        *("task_scheduler.cli.main", "task_scheduler.cli.output", "task_scheduler.cli.serve"),
    }


def test_without_a_command_there_is_help() -> None:
    without, asked = run(), run("--help")
    assert (without.exit_code, asked.exit_code) == (2, 0)
    assert without.stdout == asked.stdout
    assert "130 ended by Ctrl-C." in " ".join(asked.stdout.split())


def test_a_command_that_is_mistyped_is_answered_with_those_that_are_like_it() -> None:
    like, unlike = run("exprot"), run("dinner")
    assert (like.exit_code, unlike.exit_code) == (2, 2)
    assert "No such command 'exprot'. Did you mean" in like.stderr
    assert "'export'" in like.stderr
    assert unlike.stderr.endswith("No such command 'dinner'.\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_shown_for_the_shell_that_is_named(shell: str) -> None:
    shown, refused = run("--show-completion", shell), run("--show-completion", "sh")
    assert (shown.exit_code, refused.exit_code) == (0, 2)
    assert f"_TASK_SCHEDULER_COMPLETE={shell}_complete" in shown.stdout
    assert "'bash', 'zsh', 'fish'" in refused.stderr


def test_every_command_that_talks_to_a_service_can_be_told_which() -> None:
    context = click.Context(app)
    names = "schedule cancel reschedule show list events import export doctor serve restore"
    assert app.list_commands(context) == names.split()
    for name in app.list_commands(context)[:-1]:  # the last one restores a file, and talks to no service
        command = app.get_command(context, name)
        assert command
        assert command.name == name
        variables = {parameter.envvar for parameter in command.params}
        assert variables >= {"TASK_SCHEDULER_SECRET"} | ({"TASK_SCHEDULER_URL"} if name != "serve" else set()), name


@pytest.mark.parametrize("name", app.list_commands(click.Context(app)))
def test_no_help_shows_a_secret(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("TASK_SCHEDULER_SECRET", "TASK_SCHEDULER_OLD_SECRET", "TASK_SCHEDULER_WEBHOOK_SECRET"):
        monkeypatch.setenv(variable, "hush")
    for arguments in (["--help"], ["--nope"]):
        result = run(name, *arguments)
        assert "Usage: app " in result.output
        assert "hush" not in result.output
