"""Opening streams, and hearing all that comes of them."""

from typing import Any

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.frames import Frame


class Heard:
    """All that came on one channel."""

    def __init__(self, frames: list[Frame]) -> None:
        self.frames = frames
        self.commands = ["data" if frame.channel else str(frame.message["command"]) for frame in frames]
        self.data = b"".join(frame.payload for frame in frames if frame.channel)
        self.messages = [frame.payload for frame in frames if frame.channel]
        self.closed: dict[str, Any] = frames[-1].message if not frames[-1].channel else {}

    @property
    def ready(self) -> dict[str, Any]:
        (ready,) = [frame.message for frame in self.frames if not frame.channel and frame.message["command"] == "ready"]
        return ready


class Client:
    def __init__(self, bridge: Bridge, name: str) -> None:
        self.bridge = bridge
        self.front = bridge.front_end
        self._name = name
        self._count = 0

    def open(self, payload: str = "stream", **options: Any) -> str:
        """The id of a new channel."""
        self._count += 1
        channel = f"{self._name}-{self._count}"
        self.front.open(channel, payload, **options)
        return channel

    def spawn(self, *argv: str, **options: Any) -> str:
        return self.open(spawn=list(argv), **options)

    def shell(self, script: str, **options: Any) -> str:
        return self.open(spawn=["/bin/sh", "-c", script], **options)

    def pid(self, channel: str) -> int:
        """Of the program, once it runs."""
        return int(self.front.expect("ready", channel)["pid"])

    def heard(self, channel: str) -> Heard:
        """All, once it is closed."""

        def is_closed() -> bool:
            found = self.front.of(channel)
            return bool(found) and not found[-1].channel and found[-1].message["command"] == "close"

        self.front.wait_until(is_closed, f"the close of {channel}")
        return Heard(self.front.of(channel))

    def run(self, script: str, data: bytes = b"", **options: Any) -> Heard:
        """A shell script with this input, to its end."""
        channel = self.shell(script, **options)
        if data:
            self.front.send(channel, data)
        self.front.control("done", channel=channel)
        return self.heard(channel)

    def refused(self, payload: str = "stream", **options: Any) -> dict[str, Any]:
        """The close of an open that is refused: nothing else came."""
        heard = self.heard(self.open(payload, **options))
        assert heard.commands == ["close"], heard.commands
        assert heard.closed["message"]
        return heard.closed
