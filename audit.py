"""The last step of `make check`: asks the registries what is known against the packages that are locked.

A vulnerability is a failure. A registry that does not answer is none: work goes on offline, and behind a mirror.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

Reader = Callable[[Any], tuple[int, list[str]]]
"""Takes what a program wrote; returns how many packages the registry knew, and a line for each vulnerability."""

ROOT: Final = Path(__file__).parent

# Vulnerabilities that cannot be mended yet and do not reach us: their ids, each with the reason.
ACCEPTED: Final[dict[str, str]] = {}

_ANSWER_S: Final = 5
_WHOLE_S: Final = 60  # pip-audit asks for one package after the other
_USAGE: Final = 2  # the exit code of pip-audit for a command line that it does not take

# The lock of development holds the very versions of all the others.
PIP_AUDIT: Final = (
    *("pip-audit", "--requirement=requirements/dev.txt", "--require-hashes", "--disable-pip"),
    *("--format=json", "--desc=off", "--progress-spinner=off", f"--timeout={_ANSWER_S}"),
)
NPM_AUDIT: Final = (
    *("npm", "audit", "--json", "--package-lock-only"),
    *("--fetch-retries=0", f"--fetch-timeout={_ANSWER_S * 1000}"),
)


class NoAnswerError(Exception):
    """Nothing was found out; the text says why, after the name of the program."""


def main() -> None:
    """Say what each of the programs found, and fail if that is anything."""
    with ThreadPoolExecutor() as side_by_side:
        reports = list(side_by_side.map(_report, (PIP_AUDIT, NPM_AUDIT), (of_python, of_node)))
    print(*(line for line, _ in reports), sep="\n")  # noqa: T201 - a command prints
    if found := [line for _, lines in reports for line in lines]:
        sys.exit("\n".join(["These packages are locked, and known to be vulnerable:", *found]))


def _report(command: Sequence[str], read: Reader) -> tuple[str, list[str]]:
    """Return a line on what came of it, and those on what was found."""
    name = command[0]
    try:
        answer = _answer(command)
        try:
            known, found = read(answer)
        except (AttributeError, KeyError, TypeError):
            raise NoAnswerError("has answered something else") from None
    except NoAnswerError as reason:
        return f"{name} {reason}: nothing is known of vulnerabilities.", []
    return f"{name} has found {len(found) or 'nothing'} against the {known} packages that the registry knows.", found


def _answer(command: Sequence[str]) -> Any:  # noqa: ANN401 - any JSON
    """Return what a program wrote; what it exits with is 1 both for what it found and for what it could not do."""
    try:
        done = subprocess.run(  # noqa: S603 - our own commands
            command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=_WHOLE_S
        )
    except subprocess.TimeoutExpired:
        raise NoAnswerError(f"had no answer within {_WHOLE_S} s") from None
    if done.returncode == _USAGE:
        sys.exit(done.stderr)
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise NoAnswerError("had no answer from the registry") from None


def of_python(answer: Mapping[str, Any]) -> tuple[int, list[str]]:
    """Read what pip-audit wrote; a package that the registry does not know is skipped."""
    known = [package for package in answer["dependencies"] if "skip_reason" not in package]
    if not known:
        raise NoAnswerError("had no answer from the registry for any package")
    return len(known), [
        _line(package["name"], package["version"], one["id"], ", ".join(one["fix_versions"]))
        for package in known
        for one in package["vulns"]
        if ACCEPTED.keys().isdisjoint({one["id"], *one.get("aliases", ())})
    ]


def of_node(answer: Mapping[str, Any]) -> tuple[int, list[str]]:
    """Read what npm wrote; a package that is vulnerable by another one names that only."""
    if "vulnerabilities" not in answer:
        raise NoAnswerError("had no answer from the registry")
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    found = {
        _line(one["name"], locked[node]["version"], one["url"].rpartition("/")[2], f"what is not {one['range']}")
        for package in answer["vulnerabilities"].values()
        for node in package["nodes"]
        for one in package["via"]
        if isinstance(one, dict) and one["url"].rpartition("/")[2] not in ACCEPTED
    }
    return answer["metadata"]["dependencies"]["total"], sorted(found)


def _line(name: str, version: str, vulnerability: str, fixed: str) -> str:
    return f"  {name} {version}: {vulnerability}, fixed in {fixed or 'no version yet'}"


if __name__ == "__main__":
    main()
