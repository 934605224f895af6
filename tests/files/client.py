"""Files over a bridge's front end: one call a channel, each with all that was said on it."""

import json
from functools import partial
from itertools import count
from typing import Any, NamedTuple

from spanbridge.testing.frames import Frame
from spanbridge.testing.front_end import FrontEnd

NO_FILE = "-"


class Answer(NamedTuple):
    """All that was said on one channel."""

    frames: list[Frame]

    @property
    def commands(self) -> list[str]:
        """Of each control message; "data" for a run of data."""
        names = ["data" if frame.channel else str(frame.message["command"]) for frame in self.frames]
        return [name for before, name in zip(["", *names], names, strict=False) if (before, name) != ("data", "data")]

    @property
    def data(self) -> bytes:
        return b"".join(frame.payload for frame in self.frames if frame.channel)

    @property
    def messages(self) -> list[Any]:
        """Each data message as JSON."""
        return [json.loads(frame.payload) for frame in self.frames if frame.channel]

    @property
    def ready(self) -> dict[str, Any]:
        return next(frame.message for frame in self.frames if not frame.channel and frame.message["command"] == "ready")

    @property
    def close(self) -> dict[str, Any]:
        return next(frame.message for frame in self.frames if not frame.channel and frame.message["command"] == "close")

    @property
    def problem(self) -> str | None:
        return self.close.get("problem")

    @property
    def tag(self) -> str | None:
        return self.close.get("tag")


class Files:
    """What a page does with files."""

    def __init__(self, front_end: FrontEnd) -> None:
        self.front_end = front_end
        self._channels = (f"files-{number}" for number in count(1))

    def open(self, payload: str, path: object, **options: Any) -> str:
        """Open a channel; its id."""
        channel = next(self._channels)
        self.front_end.message(
            {"command": "open", "channel": channel, "payload": payload, "path": as_text(path), **options}
        )
        return channel

    def answer(self, channel: str) -> Answer:
        """Wait until it is closed."""

        def is_close(frame: Frame) -> bool:
            return not frame.channel and frame.message["command"] == "close" and frame.message["channel"] == channel

        self.front_end.take(is_close, f"the close of {channel}")
        frames = self.front_end.of(channel)
        gone = {id(frame) for frame in frames}
        for kept in (self.front_end.log, self.front_end.pending):
            kept[:] = [frame for frame in kept if id(frame) not in gone]
        return Answer([frame for frame in frames if frame.channel or frame.message["command"] != "ping"])

    def read_on(self, channel: str) -> Answer:
        """The same of a channel with flow-control: each of its pings is answered."""
        front_end = self.front_end
        answered = 0
        while "close" not in front_end.commands(channel):
            pings = [each.message for each in front_end.of(channel) if not each.channel]
            pings = [each for each in pings if each["command"] == "ping"]
            for ping in pings[answered:]:
                front_end.message({**ping, "command": "pong"})
            answered = len(pings)
            seen = len(front_end.log)
            front_end.wait_until(partial(_is_longer, front_end.log, seen), f"more of {channel}")
        return self.answer(channel)

    def read(self, path: object, *, raw: bool = True, **options: Any) -> Answer:
        return self.answer(self.open("fsread1", path, **({"binary": "raw"} if raw else {}), **options))

    def replace(self, path: object, *data: bytes, **options: Any) -> Answer:
        """With these data messages; without any, the file is removed."""
        channel = self.open("fsreplace1", path, **options)
        for piece in data:
            self.front_end.send(channel, piece)
        self.front_end.control("done", channel=channel)
        return self.answer(channel)

    def look(self, path: object, *attrs: str, **options: Any) -> Any:
        """What `fsinfo` tells of a path."""
        answer = self.answer(self.open("fsinfo", path, attrs=list(attrs), **options))
        assert answer.problem is None
        assert answer.commands == ["ready", "data", "done", "close"]
        return merged(answer.messages)

    def list(self, path: object, **options: Any) -> Answer:
        return self.answer(self.open("fslist1", path, watch=False, **options))


def _is_longer(log: list[Frame], than: int) -> bool:
    return len(log) > than


def merged(messages: list[Any]) -> Any:
    """The value that these merge patches make; never partial at the end."""
    value: Any = {}
    for message in messages:
        value = merge(value, message)
    assert "partial" not in value
    return value


def merge(target: Any, patch: Any) -> Any:
    """RFC 7396, written down as it stands there."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name), value)
    return result


class Watched:
    """An `fsinfo` channel that goes on. `value` is what the front end has by now."""

    def __init__(self, files: Files, path: object, *attrs: str, watch: bool = True, **options: Any) -> None:
        self._front_end = files.front_end
        self.channel = files.open("fsinfo", path, attrs=list(attrs), watch=watch, **options)
        self.value: Any = {}
        self.states: list[Any] = []
        """Each that was not partial."""
        self.messages: list[Any] = []
        self._seen = 0

    def take(self) -> None:
        """Merge what has come by now."""
        payloads = [frame.payload for frame in self._front_end.log if frame.channel == self.channel]
        for payload in payloads[self._seen :]:
            message = json.loads(payload)
            assert message, "an empty message"
            self.messages.append(message)
            self.value = merge(self.value, message)
            if "partial" not in self.value:
                self.states.append(self.value)
        self._seen = len(payloads)

    def wait(self, wanted: Any) -> None:
        """Until its value is this; a function: until it says so."""

        def reached() -> bool:
            self.take()
            return bool(wanted(self.value)) if callable(wanted) else bool(self.value == wanted)

        try:
            self._front_end.wait_until(reached, f"the value {wanted} on {self.channel}")
        except AssertionError as error:
            raise AssertionError(f"{error}\nlast value: {self.value}") from None


def as_text(path: object) -> Any:
    """A path as an open has it."""
    if isinstance(path, bytes):
        return path.decode("utf-8", "surrogateescape")
    return str(path) if hasattr(path, "__fspath__") else path
