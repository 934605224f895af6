"""How the property tests here, and those of the data path, are run: the same examples each time, none kept on disk.

A failing example is shown as it was found, which takes no time; `SHRINK=1 pytest ...` makes it as small as can be,
which may take minutes.
"""

import os
from typing import Final

from hypothesis import HealthCheck, Phase, settings

PHASES: Final = (Phase.explicit, Phase.generate, *([Phase.shrink] if os.environ.get("SHRINK") else []))


def examples(count: int, *, steps: int = 50) -> settings:
    """Settings for `count` examples, of at most `steps` steps each where the test is a state machine."""
    return settings(
        max_examples=count,
        stateful_step_count=steps,
        phases=PHASES,
        report_multiple_bugs=False,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
