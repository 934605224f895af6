"""The programs that are measured in turn."""

import shlex
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

from bench.build import program

SPANBRIDGE = "spanbridge"
COCKPIT = "cockpit-bridge"
RELAY = "relay"
PYTHON = "python-bridge"

BACKPORTS = Path("/var/cache/spanbridge-tests/backports")
"""Where `.ci/fetch-backports` has put the newer front end, and with it the bridge in Python."""


@dataclass(frozen=True)
class Peer:
    """A program that stands between front end and helper, and what is added to its environment."""

    name: str
    command: tuple[str, ...]
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def speaks(self) -> bool:
        """Whether it knows the protocol: routes channels, reads manifests, serves payloads itself."""
        return self.name != RELAY


def parse_peer(name: str, text: str) -> Peer:
    """A peer from a shell-like command line; leading ``NAME=value`` words become its environment.

    Raises:
        ValueError: there is no command, or it cannot be found.
    """
    words = shlex.split(text)
    environ = {}
    while words and "=" in words[0] and "/" not in words[0].split("=")[0]:
        key, _, value = words.pop(0).partition("=")
        environ[key] = value
    if not words:
        raise ValueError(f"{name}: there is no command in {text!r}")
    if shutil.which(words[0]) is None:
        raise ValueError(f"{name}: {words[0]} is not there, or not executable")
    return Peer(name, tuple(words), environ)


def find_peers(spanbridge: str | None, variants: list[str]) -> tuple[list[Peer], list[str]]:
    """All peers of this machine, and a line for each that is missing.

    Args:
        spanbridge: command line of spanbridge; by default the one beside the running Python.
        variants: more peers, as ``name=command line``.
    """
    peers, missing = [], []
    beside = Path(sys.executable).with_name("spanbridge")
    if spanbridge is not None:
        peers.append(parse_peer(SPANBRIDGE, spanbridge))
    elif beside.exists():
        peers.append(Peer(SPANBRIDGE, (str(beside),)))
    else:
        missing.append(f"spanbridge: not at {beside}; name it with --spanbridge")
    for variant in variants:
        name, _, text = variant.partition("=")
        peers.append(parse_peer(name, text))
    cockpit = shutil.which("cockpit-bridge")
    if cockpit is not None:
        peers.append(Peer(COCKPIT, (cockpit,)))
    else:
        missing.append("cockpit-bridge: not installed, skipped")
    peers.append(Peer(RELAY, (program("relay"), program("echo"))))
    return peers, missing


def find_python_bridge(root: Path = BACKPORTS) -> Peer | None:
    """The bridge of the newer front end, which is unpacked and not installed; None where it is not."""
    packages = root / "usr/lib/python3/dist-packages"
    if not (packages / "cockpit/bridge.py").exists():
        return None
    return Peer(PYTHON, ("/usr/bin/python3", "-m", "cockpit.bridge"), {"PYTHONPATH": str(packages)})
