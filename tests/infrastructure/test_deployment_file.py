"""deployment.toml: read each time, overridden by the context, and shown without what may be secret."""

import errno
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from stacks import deployment_file
from stacks.deployment_file import NAME
from stacks.settings import SettingError, Settings
from tests.infrastructure.test_subscribers import EMAIL, FUNCTION, HTTPS, QUEUE
from tests.support.synthesis import ROOT

FULL = f"""
stack = "TaskSchedulerStaging"
production = true
arming_window_days = 0.25
log_retention_days = 365
alarm_email = "{EMAIL}"
subscribers = ["{HTTPS}", "{QUEUE}"]
"""


def test_without_a_file_all_settings_have_their_defaults(tmp_path: Path) -> None:
    read = deployment_file.read({}, tmp_path)
    assert (read.settings, read.given, read.file, read.overridden) == (Settings(), frozenset(), None, False)


def test_the_file_is_read_and_says_which_settings_it_has(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(FULL)
    read = deployment_file.read({"aws:cdk:enable-path-metadata": True, "cli-telemetry": False}, tmp_path)
    assert read.settings == Settings(
        stack="TaskSchedulerStaging",
        production=True,
        arming_window_days=0.25,
        log_retention_days=365,
        alarm_email=EMAIL,
        subscribers=(HTTPS, QUEUE),
    )
    assert read.given == tomllib.loads(FULL).keys()
    assert (read.file, read.overridden) == (NAME, False)


def test_the_context_overrides_the_file(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(FULL)
    context = {"scheduler:production": "off", "scheduler:alarm_email": "", "scheduler:dashboard": "off"}
    read = deployment_file.read(context, tmp_path)
    assert (read.settings.production, read.settings.alarm_email, read.settings.dashboard) == (False, None, False)
    assert read.settings.subscribers == (HTTPS, QUEUE)
    assert read.given == {*tomllib.loads(FULL), "dashboard"}
    assert (read.file, read.overridden) == (NAME, True)


def test_another_file_can_be_named_or_none(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(FULL)
    (tmp_path / "deployment.test.toml").write_text("secret = false\n")
    other = deployment_file.read({"scheduler:file": "deployment.test.toml"}, tmp_path)
    assert (other.settings, other.file, other.overridden) == (Settings(secret=False), "deployment.test.toml", False)
    none = deployment_file.read({"scheduler:file": ""}, tmp_path)
    assert (none.settings, none.file) == (Settings(), None)


def test_a_mark_at_the_beginning_as_some_editors_leave_it_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("\ufeffsecret = false\n", encoding="utf-8")
    assert deployment_file.read({}, tmp_path).settings == Settings(secret=False)


@pytest.mark.parametrize(
    ("text", "context", "sentence"),
    [
        ("production = yes", {}, "deployment.toml is not valid TOML: Invalid value (at line 1, column 14); true and"),
        ("dashboard = true\ndashboard = false", {}, "deployment.toml is not valid TOML: Cannot overwrite a value"),
        ("a = '\xff'", {}, "deployment.toml is not UTF-8: invalid start byte at position 5."),
        ("producton = true", {}, "deployment.toml: producton is not a setting. The settings are alarm_email, "),
        ('[production]\nx = "y"', {}, "deployment.toml: production must be true or false, not {'x': 'y'}."),
        ("stream_listeners = 0", {}, "deployment.toml: stream_listeners must be a whole number from 1 to 1000, not 0."),
        ("secret = true", {"scheduler:nope": "1"}, "The CDK context (-c): nope is not a setting."),
        ("", {"scheduler:secret": "maybe"}, "The CDK context (-c): secret must be true or false, not 'maybe'."),
        ("", {"production": "on"}, "production has to be written scheduler:production."),
        ("", {"scheduler:file": "gone.toml"}, "scheduler:file: there is no file 'gone.toml' in "),
    ],
)
def test_a_mistake_is_rejected_with_its_place(
    tmp_path: Path, text: str, context: dict[str, Any], sentence: str
) -> None:
    (tmp_path / NAME).write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingError) as rejected:
        deployment_file.read(context, tmp_path)
    assert str(rejected.value).startswith(sentence)


def test_lines_are_those_of_a_file_but_show_only_the_host_of_a_url() -> None:
    """A webhook's URL may hold a secret, and what synth prints ends in the log of a CI service."""
    changed = Settings(
        production=True,
        arming_window_days=0.5,
        alarm_email=EMAIL,
        subscribers=("https://user:token@hooks.example.com/services/T0/B1?key=2", EMAIL, QUEUE, FUNCTION),
    ).changed()
    text = "\n".join(deployment_file.lines(changed))
    assert tomllib.loads(text) == {
        "production": True,
        "arming_window_days": 0.5,
        "alarm_email": EMAIL,
        "subscribers": ["https://hooks.example.com/ (path not shown)", EMAIL, QUEUE, FUNCTION],
    }
    with pytest.raises(SettingError, match="subscribers must be https URLs"):
        Settings.of(tomllib.loads(text))


def test_the_example_has_every_setting_and_is_valid_with_all_of_them(tmp_path: Path) -> None:
    example = (ROOT / "deployment.example.toml").read_text()
    assert tomllib.loads(example) == {}, "copied as it is, it must change nothing"
    lines = [line.removeprefix("# ") for line in example.splitlines()]
    text = "\n".join(line for line in lines if " = " in line or line.lstrip().startswith('"') or line == "]")
    (tmp_path / NAME).write_text(text)
    read = deployment_file.read({}, tmp_path)
    assert read.given == Settings.__dataclass_fields__.keys()


def test_a_file_that_is_there_but_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    (tmp_path / NAME).symlink_to(tmp_path / "gone")
    with pytest.raises(SettingError, match=r"^deployment\.toml cannot be read: No such file or directory\.$"):
        deployment_file.read({}, tmp_path)
    (tmp_path / NAME).unlink()
    (tmp_path / NAME).mkdir()
    with pytest.raises(SettingError, match=r"^deployment\.toml cannot be read: Is a directory\.$"):
        deployment_file.read({}, tmp_path)


@pytest.mark.parametrize("file", [None, "deployment.test.toml"])
def test_a_file_that_may_not_be_read_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str | None
) -> None:
    """The error is simulated: root may read every file."""

    def forbidden(path: Path, **_: object) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    (tmp_path / (file or NAME)).touch()
    monkeypatch.setattr(Path, "read_text", forbidden)
    with pytest.raises(SettingError, match=rf"^{re.escape(file or NAME)} cannot be read: Permission denied\.$"):
        deployment_file.read({"scheduler:file": file} if file else {}, tmp_path)
