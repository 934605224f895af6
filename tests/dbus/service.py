"""A private bus, and services on it, written with dbus-fast: other code than ours speaks to the bridge."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, Final

from dbus_fast import Message, MessageType, NameFlag, Variant
from dbus_fast._private.unmarshaller import Unmarshaller

from spanbridge.testing.deadline import SECONDS

from ..missing import lack

BUS: Final = "org.freedesktop.DBus"
PROPERTIES: Final = "org.freedesktop.DBus.Properties"
MANAGER: Final = "org.freedesktop.DBus.ObjectManager"
INTROSPECTABLE: Final = "org.freedesktop.DBus.Introspectable"

CONFIG: Final = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
 <type>{kind}</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth><servicedir>{services}</servicedir>
 <policy context="default"><allow user="*"/><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
 <allow own="*"/></policy><limit name="max_replies_per_connection">100000</limit>{more}
</busconfig>
"""


class PrivateBus:
    """A dbus-daemon of one's own, in `directory`. `prefix`: what begins its command."""

    def __init__(self, directory: Path, kind: str = "session", more: str = "", prefix: Sequence[str] = ()) -> None:
        self.directory = directory
        self._prefix = prefix
        self.socket = directory / "bus"
        self.services = directory / "services"
        self.services.mkdir(parents=True, exist_ok=True)
        self._config = directory / "bus.conf"
        self._config.write_text(CONFIG.format(kind=kind, socket=self.socket, services=self.services, more=more))
        self._process: subprocess.Popen[str] | None = None
        self.start()

    @property
    def address(self) -> str:
        return f"unix:path={self.socket}"

    @property
    def environ(self) -> dict[str, str]:
        return {"DBUS_SESSION_BUS_ADDRESS": self.address, "DBUS_SYSTEM_BUS_ADDRESS": self.address}

    @property
    def runs(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        """Returns once it can be connected to."""
        command = [*self._prefix, "dbus-daemon", f"--config-file={self._config}", "--nofork", "--print-address"]
        try:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        except FileNotFoundError:
            lack("missing: dbus-daemon", "dbus-daemon")
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip().startswith("unix:")

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it. Harmless a second time."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait(SECONDS)
            assert process.stdout is not None
            process.stdout.close()

    def send_signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)


@contextmanager
def private_bus(directory: Path, **options: Any) -> Iterator[PrivateBus]:
    bus = PrivateBus(directory, **options)
    try:
        yield bus
    finally:
        bus.stop(signal.SIGKILL)


Handler = Callable[["Service", Message], Any]


class Service:
    """One client of a bus, in a thread of its own: a blocking socket, and dbus-fast's messages.

    `handle` answers calls: it gives a Message, or None for no answer. `calls` and `signals` are all that have come.
    """

    def __init__(self, address: str, name: str | None, handle: Handler) -> None:
        self.calls: list[Message] = []
        self.signals: list[Message] = []
        self.unique_name = ""
        self._handle = handle
        self._serials = count(1)
        self._lock = threading.Lock()
        self._answers: dict[int, Future[Message]] = {}
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(address.removeprefix("unix:path=").partition(",")[0])
        self._authenticate()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        (self.unique_name,) = self.ask_bus("Hello")
        if name is not None:
            self.own(name)

    def _authenticate(self) -> None:
        self._socket.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
        assert self._socket.recv(1000).startswith(b"OK ")
        self._socket.sendall(b"NEGOTIATE_UNIX_FD\r\n")
        assert self._socket.recv(1000) == b"AGREE_UNIX_FD\r\n"
        self._socket.sendall(b"BEGIN\r\n")

    def _run(self) -> None:
        reader = Unmarshaller(sock=self._socket)
        try:
            while True:
                message = reader.unmarshall()
                if message is not None:
                    self._take(message)
        except (EOFError, OSError):
            return  # the bus is gone, or we are

    def _take(self, message: Message) -> None:
        if message.message_type == MessageType.METHOD_CALL:
            self.calls.append(message)
            answer = self._handle(self, message)
            if answer is not None:
                self.send(answer)
        elif message.message_type == MessageType.SIGNAL:
            if message.sender != BUS:
                self.signals.append(message)
        elif message.reply_serial in self._answers:
            self._answers.pop(message.reply_serial).set_result(message)

    # What it says

    def send(self, *messages: Message) -> None:
        """Send them, in this order."""
        with self._lock:
            for message in messages:
                message.serial = next(self._serials)
                self._write(message)

    def _write(self, message: Message) -> None:
        data = bytes(message._marshall(True))
        if message.unix_fds:
            sent = socket.send_fds(self._socket, [data], message.unix_fds)
            data = data[sent:]
        self._socket.sendall(data)

    def later(self, message: Message) -> "Future[Message]":
        """Call somebody; the answer is for later."""
        answer: Future[Message] = Future()
        with self._lock:
            message.serial = next(self._serials)
            self._answers[message.serial] = answer
            self._write(message)
        return answer

    def call(self, message: Message) -> Message:
        """Call somebody; the answer."""
        return self.later(message).result(SECONDS)

    def emit(self, path: str, interface: str, member: str, signature: str = "", *body: Any) -> None:
        self.send(Message.new_signal(path, interface, member, signature, list(body)))

    # What it asks of the bus

    def ask_bus(self, member: str, signature: str = "", *body: Any) -> list[Any]:
        message = Message(BUS, "/org/freedesktop/DBus", BUS, member, signature=signature, body=list(body))
        answer = self.call(message)
        assert answer.message_type == MessageType.METHOD_RETURN, answer
        return list(answer.body)

    def listen(self, rule: str) -> None:
        """Have the bus send such signals."""
        self.ask_bus("AddMatch", "s", rule)

    def round_trip(self) -> None:
        """Returns once the bus has heeded all that was said, and all has come that it sent before."""
        self.ask_bus("GetId")

    def own(self, name: str) -> None:
        """Take a name, from whoever has it."""
        self.ask_bus("RequestName", "su", name, NameFlag.ALLOW_REPLACEMENT | NameFlag.REPLACE_EXISTING)

    def disown(self, name: str) -> None:
        self.ask_bus("ReleaseName", "s", name)

    def stop(self) -> None:
        """Leave the bus. Harmless a second time."""
        if self._socket.fileno() >= 0:
            with suppress(OSError):  # the bus may be gone
                self._socket.shutdown(socket.SHUT_RDWR)
            self._thread.join()
            self._socket.close()


Objects = dict[str, dict[str, dict[str, Variant]]]
"""path -> interface -> property -> value."""


class Tree:
    """A handler of calls for a tree of objects with properties, with a manager at `manager`, if there is one.

    `methods` are what else can be called: (interface, member) -> the signature of the results, and what gives them.
    `xml` describes interfaces where it is not made up from the properties.
    """

    def __init__(
        self,
        objects: Objects,
        *,
        manager: str | None = None,
        methods: Mapping[tuple[str, str], tuple[str, str, Callable[..., Any]]] | None = None,
    ) -> None:
        self.objects = objects
        self.manager = manager
        self.methods = methods or {}
        self.signals: dict[str, list[tuple[str, str]]] = {}
        self.xml: dict[str, str] = {}
        self.write_only: set[str] = set()

    def __call__(self, service: Service, message: Message) -> Message | None:
        path, interface, member = message.path or "", message.interface or "", message.member or ""
        if (interface, member) in self.methods:
            _, signature, function = self.methods[interface, member]
            try:
                results = function(*message.body)
            except TypeError as error:
                return Message.new_error(message, "org.freedesktop.DBus.Error.InvalidArgs", str(error))
            if isinstance(results, Message):
                results.reply_serial, results.destination = message.serial, message.sender
                return results
            return None if results is None else Message.new_method_return(message, signature.replace(" ", ""), results)
        if (interface, member) == (INTROSPECTABLE, "Introspect"):
            return Message.new_method_return(message, "s", [self.describe(path)])
        if (interface, member) == (MANAGER, "GetManagedObjects") and path == self.manager:
            found = {each: interfaces for each, interfaces in self.objects.items() if below(each, path)}
            return Message.new_method_return(message, "a{oa{sa{sv}}}", [found])
        if interface == PROPERTIES and message.body and message.body[0] in self.objects.get(path, {}):
            properties = self.objects[path][message.body[0]]
            if member == "GetAll":
                return Message.new_method_return(message, "a{sv}", [properties])
            if member == "Get" and message.body[1] in properties:
                return Message.new_method_return(message, "v", [properties[message.body[1]]])
        return Message.new_error(message, "org.freedesktop.DBus.Error.UnknownMethod", f"no {member} at {path}")

    def describe(self, path: str) -> str:
        if path in self.xml:
            return self.xml[path]
        lines = ["<node>"]
        described = dict(self.objects.get(path, {}))
        for name, _ in self.methods:
            if not name.startswith("org.freedesktop.DBus."):
                described.setdefault(name, {})
        for interface, properties in described.items():
            lines.append(f'<interface name="{interface}">')
            for (owner, member), (takes, gives, _) in self.methods.items():
                if owner == interface:
                    lines.append(f'<method name="{member}">')
                    lines += [f'<arg type="{each}" direction="in"/>' for each in takes.split()]
                    lines += [f'<arg type="{each}" direction="out"/>' for each in gives.split()]
                    lines.append("</method>")
            for name, value in properties.items():
                access = "write" if name in self.write_only else "read"
                lines.append(f'<property name="{name}" type="{value.signature}" access="{access}"/>')
            for member, signature in self.signals.get(interface, []):
                lines.append(f'<signal name="{member}"><arg type="{signature}"/></signal>')
            lines.append("</interface>")
        if path == self.manager:
            lines.append(f'<interface name="{MANAGER}"/>')
        prefix = path.rstrip("/") + "/"
        names = [each.removeprefix(prefix).partition("/")[0] for each in self.objects if each.startswith(prefix)]
        lines += [f'<node name="{name}"/>' for name in dict.fromkeys(names) if name]
        return "\n".join([*lines, "</node>"])

    def change(
        self, service: Service, path: str, interface: str, invalidated: tuple[str, ...] = (), **values: Variant
    ) -> None:
        """Give properties other values, and tell of it."""
        self.objects[path][interface].update(values)
        told = {name: value for name, value in values.items() if name not in invalidated}
        service.emit(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", interface, told, list(invalidated))


def below(path: str, top: str) -> bool:
    return path != top and (top == "/" or path.startswith(top + "/"))


def descriptors_of(pid: int) -> int:
    """How many a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))
