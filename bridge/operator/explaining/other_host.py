"""What leads to another host where no rule does: the command of ssh, and who would answer what it asks."""

import subprocess
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from spanbridge.protocol.problems import INTERNAL_ERROR, Problem

from ...helpers.hosts.remote_command import remote_command
from ...helpers.hosts.ssh_command import Trust, read_version, ssh_command
from ...helpers.hosts.wanted import read_wanted
from ...helpers.launch import of_account
from ...limits import Limits

_SECONDS: Final = 5.0
_MARK: Final = "RANDOM"
_KNOWN_HOSTS: Final = "FILE"


class Far(msgspec.Struct, frozen=True):
    """A connection that would be made."""

    argv: list[str]
    """With words in capitals for what differs from time to time."""
    asks: list[str]
    """What ssh may ask, and who answers; where nobody listens on the internal bus."""
    shared: bool
    """Whether other opens with this host and user have the same one."""


def far(message: Mapping[str, Any], limits: Limits, environ: Mapping[str, str]) -> Far:
    """What an open for another host gets. Raises Problem."""
    wanted = read_wanted(message, of_account().get("USER", ""))
    password = wanted.password is not None
    trust = Trust(_KNOWN_HOSTS if wanted.keys else None, apart=wanted.private or password, asks=password)
    argv = ssh_command(
        wanted.destination,
        trust,
        version=_version(environ),
        alive_seconds=limits.host_alive_seconds,
        command=remote_command(_MARK, send=bool(limits.host_send)),
    )
    asks = [
        "host key: only those of the open are trusted"
        if wanted.keys
        else "host key: it has to be known, as ssh finds it",
        "password: the one of the open, once" if password else "password: not tried, the open has none",
        "passphrase of a key: not answered; keys of the agent need none",
        "anything else: nobody, which ends the connection, unless somebody listens at /hosts on the internal bus",
    ]
    return Far(argv, asks, not wanted.private)


def _version(environ: Mapping[str, str]) -> tuple[int, int]:
    try:
        said = subprocess.run(["ssh", "-V"], env=environ, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except OSError as error:
        raise Problem(INTERNAL_ERROR, f"ssh: {error.strerror}: the OpenSSH client is needed here") from None
    except subprocess.SubprocessError as error:
        raise Problem(INTERNAL_ERROR, f"ssh cannot be started: {error}") from None
    return read_version(said.stderr)
