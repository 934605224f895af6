"""Bridges in surroundings of their own: a mount namespace, another user, limits of the system."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from spanbridge.testing.bridge import SPANBRIDGE, Bridge
from spanbridge.testing.home import Home

from ..missing import lack
from .client import Files

NOBODY: Final = 65_534
_DEVICE: Final = "/dev/fuse"
_SILENT: Final = Path(__file__).with_name("silent_fuse.py")


@contextmanager
def bridge_in(
    home: Home,
    before: Sequence[str],
    *,
    program: Path = SPANBRIDGE,
    limits: Mapping[str, float] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Iterator[tuple[Bridge, Files]]:
    """A bridge that the command `before` becomes, and its files."""
    command = [*before, str(program)]
    with Bridge(home, command=command, limits=limits, environ=environ) as bridge:
        bridge.front_end.expect("init", version=1)
        bridge.front_end.init()
        yield bridge, Files(bridge.front_end)


def mounted(script: str, *arguments: object) -> list[str]:
    """In a mount namespace of its own, once the script of a shell has run, with these arguments as $1 and so on."""
    if os.getuid() or subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        lack("needs uid 0, and mount namespaces (unshare)")
    words = [str(each) for each in arguments]
    shell = f'{script}; shift {len(words)}; exec "$@"'
    return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", shell, "sh", *words]


def limited(words: str) -> list[str]:
    """With this `ulimit`."""
    return ["sh", "-ec", f'ulimit {words}; exec "$@"', "sh"]


def as_nobody() -> list[str]:
    """As a user who may do little."""
    if os.getuid() or shutil.which("setpriv") is None:
        lack("needs uid 0 and setpriv (util-linux)")
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


@contextmanager
def home_of_nobody() -> Iterator[Home]:
    """Where that user may be."""
    if os.getuid():
        lack("needs uid 0")
    root = Path(tempfile.mkdtemp(prefix="spanbridge-files-"))
    try:
        root.chmod(0o755)
        home = Home(root / "home")
        for path in (home.root, home.runtime):
            os.chown(path, NOBODY, NOBODY)
        yield home
    finally:
        shutil.rmtree(root)


def without_inotify(kind: str) -> list[str]:
    """Where the system allows no inotify `watches`, or `instances`, any more."""
    script = f"echo 0 > /proc/sys/user/max_inotify_{kind}"
    command = ["unshare", "--user", "--map-root-user", "sh", "-ec", f'{script}; exec "$@"', "sh"]
    if subprocess.run([*command, "true"], check=False, capture_output=True).returncode:
        lack("needs user namespaces (unshare)")
    return command


def silent_mount(directory: Path) -> list[str]:
    """With a file system on `directory` that never answers anything: FUSE, and nobody reads its requests."""
    if not os.path.exists(_DEVICE):
        lack(f"needs {_DEVICE}")
    return [*mounted(":"), sys.executable, str(_SILENT), str(directory)]
