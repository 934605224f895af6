"""Stand-ins for what a machine without sudo has: systemd's manager and polkit's authority, on a private system bus, and
polkit's helper."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from dbus_fast import Message, MessageFlag, Variant

from spanbridge.testing.script import Rule

from ..dbus.service import Service
from .site import Site

SYSTEMD: Final = "org.freedesktop.systemd1"
MANAGER: Final = "org.freedesktop.systemd1.Manager"
UNIT: Final = "/org/freedesktop/systemd1/unit/x"
POLKIT: Final = "org.freedesktop.PolicyKit1"
AGENT: Final = "org.freedesktop.PolicyKit1.AuthenticationAgent"
NOT_ALLOWED: Final = "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"


class Manager:
    """Starts what it is asked to, unless `may` gives an error for it. `units`: name, properties, flags of each."""

    def __init__(self, address: str, may: Callable[[Message], Message | None] = lambda message: None) -> None:
        self.units: list[tuple[str, dict[str, Any], MessageFlag]] = []
        self.stopped: list[str] = []
        self.looked_for = threading.Event()  # a unit
        self._may = may
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.service = Service(address, SYSTEMD, self._handle)

    def _handle(self, service: Service, message: Message) -> Message | None:
        if message.member == "Subscribe":
            return Message.new_method_return(message)
        if message.member == "StartTransientUnit":
            threading.Thread(target=self._start, args=(message,), daemon=True).start()
            return None
        if message.member == "StopUnit":
            return self._stop(message)
        if message.member == "GetUnit":
            self.looked_for.set()
            process = self.processes.get(message.body[0])
            if process is not None and process.poll() is None:
                return Message.new_method_return(message, "o", [UNIT])
            return _no_such_unit(message)
        return Message.new_error(message, "org.freedesktop.DBus.Error.UnknownMethod", str(message.member))

    def _start(self, message: Message) -> None:
        name, mode, given, _ = message.body
        properties = {key: value.value for key, value in given}
        assert mode == "fail"
        self.units.append((name, properties, message.flags))
        fds = [message.unix_fds[properties[f"Standard{each}FileDescriptor"]] for each in ("Input", "Output", "Error")]
        refusal = self._may(message)
        if refusal is not None:
            self._say(refusal)
        else:
            ((path, argv, _),) = properties["ExecStart"]
            environ = dict(each.split("=", 1) for each in properties["Environment"])
            process = subprocess.Popen(
                argv, executable=path, stdin=fds[0], stdout=fds[1], stderr=fds[2], env=environ, start_new_session=True
            )
            self.processes[name] = process
            threading.Thread(target=self._watch, args=(name, process), daemon=True).start()
            job = "/org/freedesktop/systemd1/job/1"
            self._say(Message.new_method_return(message, "o", [job]))
        for fd in message.unix_fds:
            os.close(fd)

    def _watch(self, name: str, process: "subprocess.Popen[bytes]") -> None:
        process.wait()
        self.tell_removed(name)

    def tell_removed(self, name: str) -> None:
        self._say(Message.new_signal("/org/freedesktop/systemd1", MANAGER, "UnitRemoved", "so", [name, UNIT]))

    def _say(self, message: Message) -> None:
        with suppress(OSError):  # the test is over
            self.service.send(message)

    def _stop(self, message: Message) -> Message:
        name = message.body[0]
        self.stopped.append(name)
        process = self.processes.get(name)
        if process is None:
            return _no_such_unit(message)
        process.send_signal(signal.SIGKILL)
        return Message.new_method_return(message, "o", ["/org/freedesktop/systemd1/job/2"])

    def stop(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.service.stop()


def _no_such_unit(message: Message) -> Message:
    return Message.new_error(message, "org.freedesktop.systemd1.NoSuchUnit", f"Unit {message.body[0]} not loaded.")


def unit(site: Site, steps: Any, label: str = "unit", **members: Any) -> Rule:
    """A rule for a fake helper that systemd is to start."""
    return site.privileged(steps, label, method="StartTransientUnit", **members)


Manage = Callable[..., Manager]


class Authority:
    """polkit: takes agents, and asks the last one."""

    def __init__(self, address: str) -> None:
        self.agents: list[tuple[str, str, dict[str, Any], str]] = []  # sender, kind and details of the subject, object
        self.service = Service(address, POLKIT, self._handle)

    def _handle(self, service: Service, message: Message) -> Message:
        assert message.member == "RegisterAuthenticationAgent"
        (kind, details), _, path = message.body
        self.agents.append((str(message.sender), kind, {key: each.value for key, each in details.items()}, path))
        return Message.new_method_return(message)

    def tell(self, member: str, signature: str, *body: Any) -> Message:
        """Call the agent."""
        sender, _, _, path = self.agents[-1]
        return self.service.call(Message(sender, path, AGENT, member, signature=signature, body=list(body)))

    def ask(self, cookie: str, *uids: int) -> Message:
        """Have the agent authenticate one of these users."""
        identities = [["unix-user", {"uid": Variant("u", uid)}] for uid in uids]
        action = "org.freedesktop.systemd1.manage-units"
        return self.tell("BeginAuthentication", "sssa{ss}sa(sa{sv})", action, "Why", "", {}, cookie, identities)

    def stop(self) -> None:
        self.service.stop()


class PamHelper:
    """polkit's helper as a socket: tells each guest these lines, an answer after each question. `heard` is all that it
    was told."""

    def __init__(self, path: Path, *lines: str) -> None:
        self.heard: list[str] = []
        self._lines = lines
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        path.chmod(0o777)
        self._server.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                guest, _ = self._server.accept()
            except OSError:
                return
            with guest, guest.makefile("rw", encoding="utf-8", errors="surrogatepass") as stream:
                self._speak(stream)

    def _speak(self, stream: Any) -> None:
        self._hear(stream)
        self._hear(stream)
        for line in self._lines:
            stream.write(f"{line}\n")
            stream.flush()
            if line.startswith("PAM_PROMPT") and not self._hear(stream):
                return

    def _hear(self, stream: Any) -> bool:
        line = stream.readline()
        if line:
            self.heard.append(line.rstrip("\n"))
        return bool(line)

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()


def in_a_room_with(run: Path, command: Sequence[str]) -> list[str]:
    """The command, in a mount namespace in which `run` is the directory /run/polkit."""
    script = 'mount -t tmpfs tmpfs /run && mkdir /run/polkit && mount --bind "$0" /run/polkit && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, str(run), *command]
