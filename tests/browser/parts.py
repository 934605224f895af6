"""The programs that these tests put together, and what to do where one is missing."""

import sys
from pathlib import Path

from ..missing import lack

SPANBRIDGE = str(Path(sys.executable).with_name("spanbridge"))

COCKPIT_WS = "/usr/lib/cockpit/cockpit-ws"
COCKPIT_BRIDGE = "/usr/bin/cockpit-bridge"
COCKPIT_SHELL = "/usr/share/cockpit/shell/index.html"
CHROMIUM = "/usr/bin/chromium"
CHROMEDRIVER = "/usr/bin/chromedriver"

_PACKAGES = {
    COCKPIT_WS: "cockpit-ws",
    COCKPIT_BRIDGE: "cockpit-bridge",
    COCKPIT_SHELL: "cockpit-system",
    CHROMIUM: "chromium",
    CHROMEDRIVER: "chromium-driver",
}


def require(*paths: str) -> None:
    """Skip the test where one of these is not installed; fail it where the run has to be a full one."""
    missing = [f"{path} (Debian package {_PACKAGES[path]})" for path in paths if not Path(path).exists()]
    if missing:
        lack(f"missing: {', '.join(missing)}")
