"""30 seconds from now, in curl, Python and Node."""

import json
from typing import Final

import pytest

from tests.examples.conftest import Engine
from tests.examples.printed import Workplace, printed

pytestmark = pytest.mark.slow

COMMANDS: Final = {
    "curl": printed("sh examples/in_30_seconds.sh"),
    "Python": printed("python examples/in_30_seconds.py"),
    "Node": printed("node examples/in_30_seconds.mjs"),
}


@pytest.mark.parametrize("language", COMMANDS)
def test_the_message_is_emitted_after_30_seconds(engine: Engine, workplace: Workplace, language: str) -> None:
    done = workplace.run(COMMANDS[language])
    assert (done.returncode, done.stderr) == (0, "")
    [task] = engine.waiting()
    assert task["id"] in done.stdout
    engine.advance("20s")
    assert engine.messages() == []
    engine.advance("10s")
    assert engine.messages() == [{"text": f"Hello from {language}"}]


def test_a_wrong_secret_is_a_sentence_and_exit_code_1(engine: Engine, workplace: Workplace) -> None:
    for language, command in COMMANDS.items():
        done = workplace.run(command, TASK_SCHEDULER_SECRET="another")  # noqa: S106 - a wrong one
        assert done.returncode == 1
        assert "x-pd-secret" in done.stdout + done.stderr
        assert "another" not in done.stdout + done.stderr
        assert done.stderr.splitlines()[-1].startswith("Nothing was scheduled")
        if language == "curl":
            assert json.loads(done.stdout)["errors"]
    assert engine.waiting() == []


@pytest.mark.parametrize("language", COMMANDS)
def test_without_a_server_it_is_a_sentence_and_exit_code_1(nowhere: Workplace, language: str) -> None:
    done = nowhere.run(COMMANDS[language])
    assert (done.returncode, done.stdout.strip()) == (1, "")
    assert done.stderr.splitlines()[-1].startswith("Nothing was scheduled")
    assert "Traceback" not in done.stderr


def test_no_command_line_holds_the_secret(nowhere: Workplace) -> None:
    """A script in the place of curl writes down what it is given."""
    curl = nowhere.folder / "curl"
    curl.write_text('#!/bin/sh\necho "$@" > arguments\ncat > input\n')
    curl.chmod(0o755)
    path = f"{nowhere.folder}:{nowhere.variables['PATH']}"
    nowhere.run(COMMANDS["curl"], PATH=path, TASK_SCHEDULER_SECRET='a "b" \\ $c')  # noqa: S106 - any
    assert "secret" not in (nowhere.folder / "arguments").read_text()
    assert '"b"' not in (nowhere.folder / "arguments").read_text()
    assert (nowhere.folder / "input").read_text() == 'x-pd-secret: a "b" \\ $c\n'
