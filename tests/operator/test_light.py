"""The tools that people wait for import no event loop and nothing of the data path."""

import subprocess
import sys

import pytest

HEAVY = ("asyncio", "anyio", "spanbridge.wire.link", "spanbridge.helpers.helper")


@pytest.mark.parametrize("tool", ["check", "list", "explain"])
def test_no_event_loop(tool: str) -> None:
    asked = f"import sys, spanbridge.operator.{tool}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
