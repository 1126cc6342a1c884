"""`make release`: keeps the tree as it is, under its version, so that later ones can be tested to upgrade from it."""

import subprocess
import sys

from releases.keeping import RELEASES, ReleaseError, check, keep
from task_scheduler import __version__


def main() -> None:
    """Keep the release, or say why it is none."""
    changes = subprocess.run(
        ["git", "status", "--porcelain"],  # noqa: S607 - the git that people use
        cwd=RELEASES.parent,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    try:
        check(__version__, changes=changes)
    except ReleaseError as error:
        sys.exit(str(error))
    keep(RELEASES / __version__)
    print(f"Kept releases/{__version__}. Commit it, tag the commit, and write the next version.")  # noqa: T201 - a command prints


if __name__ == "__main__":
    main()
