"""The front ends that the shell is tried with: the installed one, and a newer one that is only unpacked."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ..missing import lack
from .parts import COCKPIT_SHELL, COCKPIT_WS, require

BACKPORTS: Final = Path(os.environ.get("SPANBRIDGE_TESTS_BACKPORTS", "/var/cache/spanbridge-tests/backports"))
"""Where `.ci/fetch-backports` has put the newer one. Nothing is fetched by a test."""

_COVERED: Final = ("/usr/lib/cockpit", "/usr/share/cockpit")
"""The directories that a front end has for itself: its programs and its packages."""

# $0 is the directory with the other root. The mounts are seen by cockpit-ws and by what it starts, by nobody else,
# and end with the last of them.
_COVER: Final = " && ".join(
    [*(f'mount --bind -- "$0{directory}" {directory}' for directory in _COVERED), 'exec "$@"'],
)


class FrontEnd(NamedTuple):
    """A cockpit-ws with its packages."""

    name: str
    program: Sequence[str]
    """What starts cockpit-ws, for `CockpitWs`."""
    packages: Path
    """The directory of its packages, as seen from outside."""
    manifests: str
    """The path at which its shell asks for the manifests."""

    def require(self) -> None:
        """Skip or fail a test (`lack`) where this front end cannot run."""
        require(COCKPIT_WS, COCKPIT_SHELL)
        if self is NEWER:
            _require_backports()

    def has_file(self, path: str) -> bool:
        """Whether the path `/PACKAGE/FILE` is that of a file, plain or packed."""
        package, _, file = path.removeprefix("/").partition("/")
        for manifest in self.packages.glob("*/manifest.json"):
            if json.loads(manifest.read_text()).get("name", manifest.parent.name) == package:
                return any((manifest.parent / f"{file}{packed}").is_file() for packed in ("", ".gz"))
        return False


INSTALLED: Final = FrontEnd("installed", (COCKPIT_WS,), Path("/usr/share/cockpit"), "/manifests.js")
NEWER: Final = FrontEnd(
    "backports",
    ("unshare", "--mount", "sh", "-c", _COVER, str(BACKPORTS), COCKPIT_WS),
    BACKPORTS / "usr/share/cockpit",
    "/manifests-i18n.js",
)


def _require_backports() -> None:
    missing = [directory for directory in _COVERED if not Path(f"{BACKPORTS}{directory}").is_dir()]
    if missing:
        lack(f"missing: {', '.join(missing)} below {BACKPORTS} (.ci/fetch-backports {BACKPORTS})")
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        lack(f"no mount namespace of its own for the front end of the backports: {tried.stderr.strip()}")
