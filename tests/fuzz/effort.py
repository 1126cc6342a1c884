"""How much is tried: a little, always the same, and within seconds; or FUZZ_EXAMPLES of each, and others every time."""

import os
from typing import Final

from hypothesis import HealthCheck, settings

EXAMPLES: Final = int(os.environ.get("FUZZ_EXAMPLES", "0")) or None

_UNINTERESTING: Final = [
    HealthCheck.too_slow,
    HealthCheck.data_too_large,
    HealthCheck.function_scoped_fixture,
]


def effort(few: int, *, steps: int = 50) -> settings:
    """Return the settings of a test that tries `few` examples unless it is asked for more."""
    return settings(
        max_examples=EXAMPLES or few,
        stateful_step_count=steps,
        derandomize=EXAMPLES is None,
        deadline=None,
        suppress_health_check=_UNINTERESTING,
    )
