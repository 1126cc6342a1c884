"""Bundles the code of the functions: this project and its pinned packages. Needs neither Docker nor network."""

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from shutil import copyfile
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
LOCK: Final = ROOT / "requirements" / "lambda.txt"
OURS: Final = ("lambdas", "task_scheduler")
# Parts of the library for one machine and for people; no function imports them.
NOT_IN_FUNCTIONS: Final = ("task_scheduler/local", "task_scheduler/cli", "task_scheduler/client", "task_scheduler/cdk")
COMPILED: Final = frozenset({".so", ".pyd", ".dylib"})
_PINNED: Final = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


class BundleError(RuntimeError):
    """The environment lacks a file or package that the functions need; `make` sets it up."""


def bundle(folder: Path) -> None:
    """Fill the folder; the same checkout and lock give the same bytes and modes, whatever the umask."""
    for name in OURS:
        for source in sorted((ROOT / name).rglob("*")):
            path = source.relative_to(ROOT)
            if source.is_file() and not path.as_posix().startswith(NOT_IN_FUNCTIONS):
                _put(source, folder, path)
    for package in packages():
        for source, path in _files(package):
            _put(source, folder, path)


def packages() -> list[Distribution]:
    """Return the packages of the lock as they are installed; raises BundleError where one is not."""
    if not LOCK.is_file():  # a wheel has neither the lock nor the handlers
        raise BundleError(f"{LOCK} is missing. Install task-scheduler from its checkout, by pip install --editable.")
    return [_installed(name, version) for name, version in _PINNED.findall(LOCK.read_text())]


def _installed(name: str, version: str) -> Distribution:
    try:
        package = distribution(name)
    except PackageNotFoundError:
        raise BundleError(f"{name} {version} is not installed, but {LOCK.name} wants it in the functions.") from None
    if package.version != version:
        raise BundleError(f"{name} {package.version} is installed, but {LOCK.name} wants {version} in the functions.")
    return package


def _files(package: Distribution) -> list[tuple[Path, Path]]:
    """List the package's modules and data, without what belongs to the installation: metadata and scripts."""
    return [
        (Path(str(file.locate())), Path(file))
        for file in package.files or ()
        if ".." not in file.parts and not file.parts[0].endswith(".dist-info")
    ]


def _put(source: Path, folder: Path, path: Path) -> None:
    if "__pycache__" in path.parts:
        return
    if path.suffix in COMPILED:
        raise BundleError(f"{path} is compiled for one kind of machine; the functions carry only Python.")
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    copyfile(source, target)
    target.chmod(0o644)  # Lambda runs as another user: a umask of 077 would make the code unreadable there
