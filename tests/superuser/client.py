"""A front end's view of `/superuser`: calls that are under way, prompts, and what changes."""

import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from spanbridge.testing.front_end import FrontEnd

PATH: Final = "/superuser"
INTERFACE: Final = "cockpit.Superuser"
ERROR: Final = "cockpit.Superuser.Error"
CANCELLED: Final = "cockpit.Superuser.Error.Cancelled"


class CallError(Exception):
    """A call has failed."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name
        self.text = text


class Prompt(NamedTuple):
    message: str
    prompt: str
    default: str
    echo: bool
    error: str


class SuperuserClient:
    """Opens `channel` on the internal bus, watches the object, and listens to its signals."""

    def __init__(self, front: FrontEnd, channel: str = "superuser", **options: Any) -> None:
        self.front = front
        self.channel = channel
        self._calls = 0
        self._notified = 0
        front.open(channel, "dbus-json3", **{"bus": "internal", **options})
        front.expect("ready", channel)
        self._say({"add-match": {"path": PATH, "interface": INTERFACE}})
        self._say({"watch": {"path": PATH, "interface": INTERFACE}, "id": "watch"})
        self._take(lambda message: message.get("id") == "watch", "the answer to the watch")
        self.known: dict[str, Any] = {}
        self._read_notices()

    @property
    def current(self) -> Any:
        return self.get("Current")

    @property
    def bridges(self) -> Any:
        return self.get("Bridges")

    @property
    def methods(self) -> Any:
        return self.get("Methods")

    def get(self, name: str) -> Any:
        (value,) = self.call("Get", INTERFACE, name, interface="org.freedesktop.DBus.Properties")
        return value["v"]

    def begin(self, method: str, *arguments: Any, interface: str = INTERFACE, path: str = PATH) -> str:
        """Call a method without waiting; what `outcome` is to be asked for."""
        self._calls += 1
        ident = f"call-{self._calls}"
        self._say({"call": [path, interface, method, arguments], "id": ident})
        return ident

    def outcome(self, ident: str) -> list[Any]:
        """Wait for the results of a call. Raises CallError."""
        answer = self._take(lambda message: message.get("id") == ident, f"the answer to {ident}")
        if "error" in answer:
            name, (text,) = answer["error"]
            raise CallError(name, text)
        (results,) = answer["reply"]
        assert isinstance(results, list)
        return results

    def call(self, method: str, *arguments: Any, interface: str = INTERFACE, path: str = PATH) -> list[Any]:
        return self.outcome(self.begin(method, *arguments, interface=interface, path=path))

    def fail(self, method: str, *arguments: Any) -> CallError:
        """Call a method that must fail."""
        return self.failure(self.begin(method, *arguments))

    def failure(self, ident: str) -> CallError:
        """Wait for a call that must fail."""
        try:
            results = self.outcome(ident)
        except CallError as error:
            return error
        raise AssertionError(f"expected {ident} to fail, found {results}")

    def prompt(self) -> Prompt:
        """Wait for the next question."""
        told = self._take(lambda message: message.get("signal", ["", "", ""])[2] == "Prompt", "a Prompt")
        return Prompt(*told["signal"][3])

    def user_id(self, channel: str = "root-bus") -> Any:
        """`Id` of `/user` as the privileged side has it."""
        bus = SuperuserClient.__new__(SuperuserClient)
        bus.front, bus.channel, bus._calls = self.front, channel, 0
        self.front.open(channel, "dbus-json3", bus="internal", superuser="require")
        self.front.expect("ready", channel)
        (value,) = bus.call("Get", "cockpit.User", "Id", interface="org.freedesktop.DBus.Properties", path="/user")
        return value["v"]

    def wait_current(self, value: str) -> None:
        """Wait until a notice says that `Current` is this, unless the last one did."""
        self.wait_known("Current", value)

    def wait_known(self, name: str, value: Any) -> None:
        """Wait until a notice says that a property is this, unless the last one did."""
        self._read_notices()
        while self.known.get(name) != value:
            self._learn(self._take(lambda message: "notify" in message, f"{name} to become {value!r}"))

    def _read_notices(self) -> None:
        self.front.round_trip(self.channel)
        for frame in [frame for frame in self.front.pending if frame.channel == self.channel]:
            message = json.loads(frame.payload)
            if "notify" in message:
                self.front.pending.remove(frame)
                self._learn(message)

    def _learn(self, message: dict[str, Any]) -> None:
        self.known.update(message["notify"][PATH][INTERFACE])

    def _say(self, message: Any) -> None:
        self.front.send(self.channel, json.dumps(message).encode())

    def _take(self, fits: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        def is_it(frame: Any) -> bool:
            return frame.channel == self.channel and fits(json.loads(frame.payload))

        message: dict[str, Any] = json.loads(self.front.take(is_it, what).payload)
        return message
