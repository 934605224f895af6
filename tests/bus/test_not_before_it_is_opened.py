"""The start of the bridge does not pay for what nobody opens."""

import subprocess
import sys

_PROGRAM = """
import sys
import bridge.cli, bridge.start, bridge.session
print([name for name in sys.modules if name.startswith("bridge.internal.")])
from bridge.internal.base import find
for payload in ("dbus-json3", "info", "session-control"):
    find(payload)
print([name for name in sys.modules if name.startswith("bridge.internal.bus.")])
print("inotify_simple" in sys.modules)
"""


def test_nothing_is_imported_before_a_channel_is_opened() -> None:
    run = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    before, after, inotify = run.stdout.splitlines()
    assert before == "['bridge.internal.base']"
    assert "'bridge.internal.bus.bus'" in after
    for module in ("machines", "packages", "user"):
        assert f"'bridge.internal.bus.{module}'" not in after
    assert inotify == "False"
