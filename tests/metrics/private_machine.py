"""A machine of the test's own: mount and network namespaces that a bridge runs in."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from spanbridge.testing.bridge import SPANBRIDGE, Bridge
from spanbridge.testing.home import Home

from ..missing import lack

_TOOLS = {"unshare": "util-linux", "nsenter": "util-linux", "mount": "mount", "ip": "iproute2"}


class PrivateMachine:
    """What is done to it ends with the bridge: nobody else is in its namespaces."""

    def __init__(self, bridge: Bridge, directory: Path) -> None:
        self.bridge = bridge
        self._directory = directory
        self._files = 0

    def run(self, *command: str | Path) -> None:
        """A command within its namespaces."""
        subprocess.run([*self.within(), *command], check=True)

    def within(self) -> Sequence[str]:
        """What to put before a command for that."""
        return ["nsenter", "--target", str(self.bridge.pid), "--mount", "--net", "--"]

    def file(self, path: str, text: str) -> None:
        """A file of /proc or /sys that is there has another content from now on, all at once."""
        self._files += 1
        content = self._directory / f"content-{self._files}"
        content.write_text(text)
        self.run("mount", "--bind", content, path)

    def tree(self, path: str) -> Path:
        """An empty directory over the one at `path`; where the test finds it."""
        self.run("mount", "-t", "tmpfs", "none", path)
        return Path(f"/proc/{self.bridge.pid}/root{path}")


def require_namespaces() -> None:
    """Skip or fail the test where it cannot have such a machine."""
    if os.geteuid() != 0:
        lack("needs uid 0, for namespaces of mounts and networks")
    for tool, package in _TOOLS.items():
        if not any(
            os.access(f"{directory}/{tool}", os.X_OK) for directory in ("/usr/bin", "/usr/sbin", "/bin", "/sbin")
        ):
            lack(f"missing: {tool} (Debian package {package})")
    tried = subprocess.run(["unshare", "--mount", "--net", "true"], check=False, stderr=subprocess.PIPE, text=True)
    if tried.returncode != 0:
        lack(f"namespaces are not to be had here: {tried.stderr.strip()}")


@contextmanager
def private_machine(home: Home, **limits: float) -> Iterator[PrivateMachine]:
    """A bridge in new namespaces, with `init` exchanged."""
    require_namespaces()
    command = ["unshare", "--mount", "--propagation", "private", "--net", "--", str(SPANBRIDGE)]
    with Bridge(home, command=command, limits=limits) as bridge:
        bridge.front_end.expect("init", version=1)
        bridge.front_end.init()
        yield PrivateMachine(bridge, home.root)


class DeadFileSystem:
    """A FUSE file system at `point` whose server takes no request, until `let_go`."""

    def __init__(self, machine: PrivateMachine, point: Path) -> None:
        if not os.access("/dev/fuse", os.R_OK | os.W_OK):
            lack("missing: /dev/fuse (kernel module fuse)")
        self._server = subprocess.Popen(
            [*machine.within(), sys.executable, "-c", _SERVER, str(point)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == "mounted\n"

    def let_go(self) -> None:
        """Its requests fail from now on. Harmless a second time."""
        self._server.communicate()


_SERVER = """
import ctypes, os, sys
fd = os.open("/dev/fuse", os.O_RDWR)
libc = ctypes.CDLL(None, use_errno=True)
options = f"fd={fd},rootmode=40000,user_id=0,group_id=0".encode()
if libc.mount(b"/dead", sys.argv[1].encode(), b"fuse", 0, options):
    raise OSError(ctypes.get_errno(), "mount")
print("mounted", flush=True)
sys.stdin.read()
"""
