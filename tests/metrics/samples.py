"""A front end's side of one `metrics1` channel."""

import json
from typing import Any

from spanbridge.testing.frames import Frame
from spanbridge.testing.front_end import FrontEnd


class Samples:
    """Opens `channel` for metrics, given by their names or as entries of `metrics`; `options` are further members."""

    def __init__(self, front: FrontEnd, *metrics: Any, channel: str = "metrics", **options: Any) -> None:
        self.front = front
        self.channel = channel
        self.known: dict[str, Any] = {}
        """The last meta."""
        self._last: list[Any] | None = None
        entries = [{"name": each} if isinstance(each, str) else each for each in metrics]
        told = {name.replace("_", "-"): value for name, value in {"source": "internal", **options}.items()}
        front.open(channel, "metrics1", metrics=entries, **told)

    def text(self) -> str:
        """Wait for the next meta or data, as it is."""
        return self.front.take(self._is_message, f"a message on {self.channel}").payload.decode()

    def message(self) -> Any:
        return json.loads(self.text())

    def meta(self) -> dict[str, Any]:
        """Wait for the next message, which must be a meta."""
        message = self.message()
        assert isinstance(message, dict), message
        self.known, self._last = message, None
        return message

    def data(self) -> list[Any]:
        """Wait for the next message, which must be data: one point, as it is."""
        message = self.message()
        assert isinstance(message, list), message
        (point,) = message
        assert isinstance(point, list)
        return point

    def point(self) -> list[Any]:
        """Wait for the next data, and fill in what was left out; a meta may come before it."""
        message = self.message()
        if isinstance(message, dict):
            self.known, self._last = message, None
            message = self.message()
        (packed,) = message
        if self._last is None:
            self._last = packed
        else:
            self._last = [
                _filled(packed[place] if place < len(packed) else None, before)
                for place, before in enumerate(self._last)
            ]
        return self._last

    def values(self) -> list[Any]:
        """The same, with instances by name."""
        point = self.point()
        return [
            dict(zip(metric["instances"], value, strict=True)) if "instances" in metric else value
            for metric, value in zip(self.known["metrics"], point, strict=True)
        ]

    def wait_values(self, *expected: Any) -> None:
        """Wait for a point of these values."""
        while (values := self.values()) != list(expected):
            self.last_seen = values

    def closed(self) -> dict[str, Any]:
        """Wait for the close; its members."""
        return self.front.expect("close", self.channel)

    def _is_message(self, frame: Frame) -> bool:
        closed = not frame.channel and frame.message.get("channel") == self.channel
        assert not (closed and frame.message["command"] == "close"), frame
        return frame.channel == self.channel


def _filled(value: Any, before: Any) -> Any:
    if value is None:
        return before
    if not isinstance(value, list):
        return value
    padded = value + [None] * (len(before) - len(value))
    return [old if new is None else new for new, old in zip(padded, before, strict=True)]
