"""The command line of ssh: options of ours win over the user's configuration (docs/hosts.md, "How ssh is run")."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from .destination import Destination

Version = tuple[int, int]

UNKNOWN_VERSION: Final[Version] = (0, 0)

_COMMON: Final = (
    # Nothing is accepted unseen, questions come to us, one try, messages that can be read.
    "StrictHostKeyChecking=yes",
    "BatchMode=no",
    "NumberOfPasswordPrompts=1",
    "LogLevel=INFO",
    "FingerprintHash=sha256",
    "VisualHostKey=no",
    # The user's configuration is written for terminals.
    "RequestTTY=no",
    "RemoteCommand=none",
    "PermitLocalCommand=no",
    "ClearAllForwardings=yes",
    "ForwardX11=no",
)
_SINCE_8_7: Final = ("ForkAfterAuthentication=no", "StdinNull=no", "SessionType=default")
_ASKS_NOBODY: Final = ("PasswordAuthentication=no", "KbdInteractiveAuthentication=no")
# A master that the user has running is used; we never become one, which would outlive the session.
_NO_MASTER: Final = ("ControlMaster=no",)
_APART: Final = ("ControlPath=none",)
_NO_OTHER_WAY: Final = ("VerifyHostKeyDNS=no", "NoHostAuthenticationForLocalhost=no")  # in which a key may be trusted
_ALIVE_COUNT: Final = 3


class Trust(NamedTuple):
    """What of an open has ssh behave otherwise than in a terminal.

    `known_hosts`: the file with the only keys to be trusted, or None. `apart`: no master of the user's may serve it.
    `asks`: there is a password, or somebody to ask.
    """

    known_hosts: str | None = None
    apart: bool = False
    asks: bool = True


def ssh_command(
    destination: Destination, trust: Trust, *, version: Version, alive_seconds: float, command: str
) -> list[str]:
    """The arguments with which ssh runs `command` over there. `version`: of ssh, which ends at an option that it does
    not know. `alive_seconds`: how often it is to ask whether the host is there, 0 as its configuration says."""
    options = [*_COMMON, *(_SINCE_8_7 if version >= (8, 7) else ()), *_NO_MASTER]
    if trust.apart or trust.known_hosts is not None:
        options += _APART
    if alive_seconds:
        options += [f"ServerAliveInterval={max(1, round(alive_seconds))}", f"ServerAliveCountMax={_ALIVE_COUNT}"]
    if not trust.asks:
        options += _ASKS_NOBODY
    if trust.known_hosts is not None:
        options += [f"UserKnownHostsFile={quoted(trust.known_hosts)}", *_no_other_keys(version)]
    return [*_begin(options), *_address(destination), command]


def probe_command(destination: Destination, known_hosts: str, *, version: Version, seconds: float) -> list[str]:
    """The arguments with which ssh writes the host's key into the file `known_hosts`, and does not log in."""
    options = [
        "StrictHostKeyChecking=accept-new",
        f"UserKnownHostsFile={quoted(known_hosts)}",
        *_no_other_keys(version),
        "HashKnownHosts=no",
        "PreferredAuthentications=none",
        "BatchMode=yes",
        "LogLevel=ERROR",
        "PermitLocalCommand=no",
        "ClearAllForwardings=yes",
        f"ConnectTimeout={max(1, round(seconds))}",
        *_NO_MASTER,
        *_APART,
    ]
    return [*_begin(options), *_address(destination), "true"]


def read_version(said: str) -> Version:
    """The version of ssh from what `ssh -V` prints; UNKNOWN_VERSION, below any, where it does not tell."""
    found = re.match(r"OpenSSH_(\d{1,4})\.(\d{1,4})", said)
    return (int(found[1]), int(found[2])) if found else UNKNOWN_VERSION


def quoted(path: str) -> str:
    """A path as a value of ssh's configuration."""
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _no_other_keys(version: Version) -> list[str]:
    command = ["KnownHostsCommand=none"] if version >= (8, 5) else []
    return ["GlobalKnownHostsFile=/dev/null", *command, *_NO_OTHER_WAY, "UpdateHostKeys=no"]


def _begin(options: Sequence[str]) -> list[str]:
    return ["ssh", "-T", "-e", "none", *(part for option in options for part in ("-o", option))]


def _address(destination: Destination) -> list[str]:
    port = [] if destination.port is None else ["-p", str(destination.port)]
    user = [] if destination.user is None else ["-l", destination.user]
    return [*port, *user, "--", destination.name]
