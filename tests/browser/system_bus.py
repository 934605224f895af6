"""A private system bus in namespaces of its own, with systemd-hostnamed and systemd-timedated behind it.

What they change is theirs alone: the host name is one of the namespace, /etc a copy.
"""

import contextlib
import os
import signal
import subprocess
import uuid
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ..missing import lack
from .processes import MARK, marked, whole_family_ends

DAEMON: Final = "/usr/bin/dbus-daemon"
HOSTNAMED: Final = "/lib/systemd/systemd-hostnamed"
TIMEDATED: Final = "/lib/systemd/systemd-timedated"

_CONFIG: Final = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <auth>EXTERNAL</auth>
  <listen>unix:path={socket}</listen>
  <servicedir>{services}</servicedir>
  <policy context="default">
    <allow own="*"/><allow send_destination="*" eavesdrop="false"/><allow receive_sender="*"/>
    <allow send_requested_reply="true"/><allow receive_requested_reply="true"/>
  </policy>
</busconfig>
"""
_SERVICE: Final = "[D-BUS Service]\nName={name}\nExec={program}\nUser=root\n"
# $0: a copy of /etc. What is started on the bus is in the same namespaces.
_ENTER: Final = 'mount --bind "$0" /etc && hostname "$1" && shift && exec "$@"'


def require_system_bus() -> None:
    """Skip or fail a test where this cannot run."""
    if os.getuid() != 0:
        lack("needs uid 0, for namespaces of its own")
    for program in (DAEMON, HOSTNAMED, TIMEDATED):
        if not os.path.exists(program):
            lack(f"needs {program} (Debian packages dbus-daemon and systemd)")


class SystemBus:
    """A context manager: the bus runs inside it. `address` is its own, `etc` the copy of /etc that its services see."""

    def __init__(self, directory: Path, hostname: str) -> None:
        self.address = f"unix:path={directory / 'bus'}"
        self.etc = directory / "etc"
        self._directory = directory
        self._hostname = hostname
        self._run = uuid.uuid4().hex
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        services = self._directory / "services"
        services.mkdir(parents=True)
        for name, program in (("org.freedesktop.hostname1", HOSTNAMED), ("org.freedesktop.timedate1", TIMEDATED)):
            (services / f"{name}.service").write_text(_SERVICE.format(name=name, program=program))
        subprocess.run(["cp", "-a", "/etc", str(self.etc)], check=True)
        (self.etc / "hostname").write_text(f"{self._hostname}\n")
        config = self._directory / "bus.conf"
        config.write_text(_CONFIG.format(socket=self._directory / "bus", services=services))
        readable, writable = os.pipe()
        self._process = subprocess.Popen(
            [
                *("unshare", "--mount", "--uts", "sh", "-c", _ENTER, str(self.etc), self._hostname),
                *(DAEMON, f"--config-file={config}", "--nofork", f"--print-address={writable}"),
            ],
            pass_fds=[writable],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DBUS_SYSTEM_BUS_ADDRESS": self.address, MARK: self._run},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(writable)
        with open(readable, "rb") as told:
            assert told.readline(), "the bus has not started"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        assert process is not None, "left before it was entered"
        with whole_family_ends(self._run) as family:
            services = [pid for pid in marked(self._run) if pid != process.pid]
            family.hold(services)
            process.terminate()
            process.wait()
            for pid in services:  # they would notice by themselves, half a minute later
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
