"""CPU that the function takes to start in a fresh interpreter, beside `import boto3` and one client."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from lab.bench.aws.function import environment

FUNCTION: Final = "import lambdas.api"
BARE: Final = "import boto3; boto3.client('dynamodb')"


def cpu_ms(code: str, folder: Path, *flags: str) -> float:
    """Return the milliseconds of CPU that an interpreter takes to run this code in a folder."""
    process = subprocess.Popen([sys.executable, *flags, "-c", code], cwd=folder, env=environment())  # noqa: S603 - our own code
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{code!r} ended with {process.returncode}.")
    return (usage.ru_utime + usage.ru_stime) * 1000
