"""What people type: the Makefile in a folder of its own, where each tool only notes what it was asked."""

import os
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
MAKEFILE: Final = (ROOT / "Makefile").read_text()

_PYTHON: Final = """#!/bin/sh
echo "$*" >> asked
case "$*" in *" -r "*) exit ${PIP_ANSWERS:-0};; esac
"""
_SERVER: Final = """#!/bin/sh
echo "$*"
echo "$TASK_SCHEDULER_SECRET"
"""


class House:
    """A checkout with an environment that holds only stand-ins."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        tools = folder / ".venv" / "bin"
        tools.mkdir(parents=True)
        (folder / "requirements").mkdir()
        (folder / "Makefile").write_text(MAKEFILE)
        self.lock = folder / "requirements" / "run.txt"
        self.lock.write_text("one==1\n")
        for name, script in {"python": _PYTHON, "task-scheduler": _SERVER}.items():
            (tools / name).write_text(script)
            (tools / name).chmod(0o755)

    def make(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run make as from a shell: nothing of a make that may be around us."""
        return subprocess.run(  # noqa: S603 - our own Makefile
            ["make", *arguments],  # noqa: S607 - the one that people type
            cwd=self.folder,
            env={"PATH": os.environ["PATH"]} | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def installations(self) -> int:
        """Count how often packages were installed."""
        asked = self.folder / "asked"
        return len(re.findall(r" -r ", asked.read_text())) if asked.exists() else 0


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_make_alone_lists_every_verb_and_each_of_them_does_something(house: House) -> None:
    phony = re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    assert phony
    verbs = re.findall(r"^make ([a-z-]+) +\S", house.make().stdout, re.MULTILINE)
    assert verbs == phony[1].split()
    for verb in verbs:
        assert re.search(rf"^{verb}:.*\n\t\S", MAKEFILE, re.MULTILINE), f"make {verb} does nothing"
        assert house.make("--dry-run", verb).returncode == 0


def test_run_passes_the_secret_unchanged_and_not_by_the_command_line(house: House) -> None:
    secret = "a$b, c$(d)'\"`e`#"  # noqa: S105 - of no deployment
    for done in (
        house.make("run", f"SECRET={secret}"),
        house.make("run", SECRET=secret),
        house.make("run", TASK_SCHEDULER_SECRET=secret),
    ):
        assert done.stdout.endswith(f"serve --port 8000 --data task-scheduler.db\n{secret}\n")
    assert "serve --port 9 --data a file.db\n" in house.make("run", "PORT=9", "DATA=a file.db").stdout


def test_an_environment_is_installed_once_for_each_content_of_its_lock(house: House) -> None:
    """Not by the age of files; and after an installation that failed, again."""
    for content, pip_answers, count in (
        *(("one==1", "0", 1), ("one==1", "0", 1), ("one==2", "0", 2), ("one==1", "0", 3)),
        *(("one==2", "1", 4), ("one==2", "0", 5), ("one==1", "1", 6), ("one==2", "0", 7)),
    ):
        house.lock.write_text(f"{content}\n")
        assert (house.make("run", PIP_ANSWERS=pip_answers).returncode == 0) is (pip_answers == "0")
        assert house.installations() == count


@pytest.mark.parametrize(
    ("python", "sentence"),
    [
        ("no-such-python", "'no-such-python' is not there"),
        ("exit 1", "needs Python 3.11 or newer; "),
        ('case "$2" in *venv*) exit 1;; esac', "apt install python3-venv"),
    ],
    ids=["missing", "too old", "without venv"],
)
def test_a_python_that_will_not_do_is_refused_with_a_sentence_that_helps(
    house: House, python: str, sentence: str
) -> None:
    (house.folder / ".venv" / "bin" / "python").unlink()
    stand_in = house.folder / "stand-in"
    if python != "no-such-python":
        stand_in.write_text(f"#!/bin/sh\n{python}\n")
        stand_in.chmod(0o755)
        python = str(stand_in)
    done = house.make("run", f"PYTHON={python}")
    assert done.returncode != 0
    assert sentence in done.stderr
