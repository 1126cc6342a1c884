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


def test_run_serves_on_the_port_and_from_the_file_it_is_given(house: House) -> None:
    assert "serve --port 8000 --data task-scheduler.db\n" in house.make("run").stdout
    assert "serve --port 9 --data a file.db\n" in house.make("run", "PORT=9", "DATA=a file.db").stdout


def test_run_passes_the_secret_unchanged_and_not_by_the_command_line(house: House) -> None:
    secret = "a$b, c$(d)'\"`e`#"  # noqa: S105 - of no deployment
    for done in (house.make("run", f"SECRET={secret}"), house.make("run", SECRET=secret)):
        assert done.stdout.endswith(f"serve --port 8000 --data task-scheduler.db\n{secret}\n")


def test_run_leaves_a_secret_alone_that_is_already_in_the_environment(house: House) -> None:
    assert house.make("run", TASK_SCHEDULER_SECRET="given").stdout.endswith("\ngiven\n")  # noqa: S106 - of no deployment


def test_without_a_browser_the_tests_do_not_begin_and_a_sentence_helps(house: House) -> None:
    everybody = house.folder / "everybody"
    everybody.mkdir()
    (everybody / "id").write_text("#!/bin/sh\necho 1000\n")
    (everybody / "id").chmod(0o755)
    done = house.make(
        "test", "CHROMIUM=no-such-browser", "DEV=", "NODE=", PATH=f"{everybody}{os.pathsep}{os.environ['PATH']}"
    )
    assert done.returncode != 0
    assert "'no-such-browser' is not there" in done.stderr
    assert "pytest" not in done.stdout


def test_an_environment_is_installed_once_for_each_content_of_its_lock(house: House) -> None:
    house.make("run")
    house.make("run")
    assert house.installations() == 1
    os.utime(house.lock)
    house.make("run")
    assert house.installations() == 1
    house.lock.write_text("one==2\n")
    house.make("run")
    assert house.installations() == 2
    house.lock.write_text("one==1\n")
    house.make("run")
    assert house.installations() == 3


def test_an_installation_that_failed_is_tried_again(house: House) -> None:
    assert house.make("run", PIP_ANSWERS="1").returncode != 0
    assert house.make("run").returncode == 0
    assert house.installations() == 2


def test_a_failed_installation_spoils_the_stamp_of_the_one_before(house: House) -> None:
    house.make("run")
    house.lock.write_text("one==2\n")
    house.make("run", PIP_ANSWERS="1")
    house.lock.write_text("one==1\n")
    house.make("run")
    assert house.installations() == 3


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
