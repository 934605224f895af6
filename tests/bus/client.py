"""A front end's client of one `dbus-json3` channel."""

import json
from typing import Any

from spanbridge.testing.front_end import FrontEnd

PROPERTIES = "org.freedesktop.DBus.Properties"
ERROR = "org.freedesktop.DBus.Error."


class BusClient:
    """Opens `channel` on the internal bus; `options` are further members of the open."""

    def __init__(self, front: FrontEnd, channel: str = "bus", **options: Any) -> None:
        self.front = front
        self.channel = channel
        self._calls = 0
        front.open(channel, "dbus-json3", **{"bus": "internal", **options})
        self.ready = front.expect("ready", channel)

    def say(self, message: Any) -> None:
        """Send one message."""
        self.front.send(self.channel, json.dumps(message).encode())

    def next(self) -> dict[str, Any]:
        """Wait for the next message."""
        frame = self.front.take(lambda frame: frame.channel == self.channel, f"a message on {self.channel}")
        message: dict[str, Any] = json.loads(frame.payload)
        return message

    def take(self, kind: str) -> Any:
        """Wait for the next message, which must be of this kind; what it says."""
        message = self.next()
        assert list(message) == [kind], message
        return message[kind]

    def waiting(self) -> list[dict[str, Any]]:
        """All messages that were sent before the bridge answered a ping; each is given once."""
        self.front.round_trip(self.channel)
        return [self.next() for frame in list(self.front.pending) if frame.channel == self.channel]

    def settle(self) -> list[dict[str, Any]]:
        """All messages up to the answer to a call that is made now: what was asked for before is answered by then."""
        self._calls += 1
        self.say({"call": ["/", "org.freedesktop.DBus.Peer", "Ping", []], "id": f"settled-{self._calls}"})
        found = [self.next()]
        while found[-1].get("id") != f"settled-{self._calls}":
            found.append(self.next())
        return found[:-1]

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send a message with an id, and wait for its answer; what comes before it must be asked for first."""
        self._calls += 1
        self.say({**message, "id": f"ask-{self._calls}"})
        answer = self.next()
        assert answer.pop("id", None) == f"ask-{self._calls}", answer
        return answer

    def call(self, path: str, interface: str, method: str, *arguments: Any) -> list[Any]:
        """Call a method; its results."""
        answer = self.ask({"call": [path, interface, method, arguments]})
        assert list(answer) == ["reply"], answer
        (results,) = answer["reply"]
        assert isinstance(results, list)
        return results

    def fail(self, path: str, interface: str, method: str, *arguments: Any) -> tuple[str, str]:
        """Call a method that must fail; the name of the error, and what it says."""
        answer = self.ask({"call": [path, interface, method, arguments]})
        assert list(answer) == ["error"], answer
        name, (text,) = answer["error"]
        return name, text

    def get(self, path: str, interface: str, name: str) -> Any:
        """A property, with its signature."""
        (value,) = self.call(path, PROPERTIES, "Get", interface, name)
        return value
