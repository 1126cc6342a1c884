"""The baseline that the upgrade tests deploy first: a template with its assets, and the script that stores it."""

from pathlib import Path
from typing import Final

from stacks.settings import Settings

BASELINE: Final = Path(__file__).parent / "baseline"
TEMPLATE: Final = f"{Settings().stack}.template.json"
