"""The start of the bridge does not pay for what nobody opens."""

import subprocess
import sys

_PROGRAM = """
import sys
import spanbridge.cli, bridge.start, spanbridge.session.session
print(sorted(name for name in sys.modules if name.startswith("spanbridge.payloads.")))
from spanbridge.payloads.base import find
for payload in ("dbus-json3", "info", "session-control"):
    find(payload)
print([name for name in sys.modules if name.startswith("spanbridge.payloads.bus.")])
print("inotify_simple" in sys.modules)
"""


def test_nothing_is_imported_before_a_channel_is_opened() -> None:
    run = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    before, after, inotify = run.stdout.splitlines()
    assert before == str([f"spanbridge.payloads.{name}" for name in ("base", "privileged")])
    assert "'spanbridge.payloads.bus.channel'" in after
    for module in ("bus", "inside", "machines", "outside", "packages", "user"):
        assert f"'spanbridge.payloads.bus.{module}'" not in after
    assert inotify == "False"
