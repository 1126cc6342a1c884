"""What other people's clients do, run by Node.js from the packages that package.json pins."""

import subprocess
from pathlib import Path
from typing import Final

from emulator.tools import NODE

_SCRIPTS: Final = Path(__file__).parent


def run(script: str, *arguments: str) -> str:
    """Run a script to its end; returns what it has written."""
    done = subprocess.run(  # noqa: S603 - our own script
        [str(NODE), str(_SCRIPTS / script), *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
