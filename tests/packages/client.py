"""Requests for package files over a bridge's front end."""

import gzip
import json
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from spanbridge.testing.front_end import FrontEnd

NO_CACHE = "no-cache, no-store"
CHECKSUM = "X-Cockpit-Pkg-Checksum"
COMMON = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-DNS-Prefetch-Control": "off",
    "X-Frame-Options": "sameorigin",
}
"""Headers of every answer."""


class Response(NamedTuple):
    """The answer to one request, as it came: all that was said on the channel."""

    controls: list[dict[str, Any]]
    data: list[bytes]

    @property
    def commands(self) -> list[str]:
        return [str(message["command"]) for message in self.controls]

    @property
    def problem(self) -> str | None:
        """That of the close."""
        return self.controls[-1].get("problem")

    @property
    def head(self) -> dict[str, Any]:
        """That of http-stream2 is a control message, that of http-stream1 the first data."""
        for message in self.controls:
            if message["command"] == "response":
                return message
        head = json.loads(self.data[0])
        assert isinstance(head, dict)
        return head

    @property
    def status(self) -> int:
        status = self.head["status"]
        assert isinstance(status, int)
        return status

    @property
    def headers(self) -> dict[str, str]:
        headers = self.head["headers"]
        assert isinstance(headers, dict)
        return headers

    @property
    def pieces(self) -> list[bytes]:
        """The data messages of the body."""
        return self.data if "response" in self.commands else self.data[1:]

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def content(self) -> bytes:
        """The body, unpacked if the headers say that it is packed."""
        return gzip.decompress(self.body) if self.headers.get("Content-Encoding") == "gzip" else self.body


def heard(front_end: FrontEnd, channel: str) -> tuple[list[dict[str, Any]], list[bytes]]:
    """All that comes on a channel until it is closed: control messages, and data."""
    data: list[bytes] = []
    controls: list[dict[str, Any]] = []
    while not controls or controls[-1]["command"] != "close":
        frame = front_end.take(
            lambda frame: (frame.channel or frame.message.get("channel")) == channel, f"more about {channel}"
        )
        if frame.channel:
            data.append(frame.payload)
        else:
            controls.append(frame.message)
    return controls, data


class Client:
    """Asks over `front_end`, on channels of its own."""

    def __init__(self, front_end: FrontEnd) -> None:
        self.front_end = front_end
        self._numbers = count(1)

    def ask(self, path: str, headers: Mapping[str, str] | None = None, /, **members: Any) -> str:
        """Open a channel for one request, say nothing more on it. The channel.

        `members` of the open are put in place of the usual ones, `...` leaves one out; `_` in a name stands for `-`.
        """
        channel = f"http-{next(self._numbers)}"
        usual = {
            "command": "open",
            "channel": channel,
            "payload": "http-stream1",
            "internal": "packages",
            "method": "GET",
            "path": path,
            "headers": dict(headers or {}),
            "binary": "raw",
        }
        message = {**usual, **{name.replace("_", "-"): value for name, value in members.items()}}
        self.front_end.message({name: value for name, value in message.items() if value is not ...})
        return channel

    def send(self, path: str, headers: Mapping[str, str] | None = None, /, **members: Any) -> str:
        """The same, whole: with `done`."""
        channel = self.ask(path, headers, **members)
        self.front_end.control("done", channel=channel)
        return channel

    def receive(self, channel: str) -> Response:
        """Wait for the end of a channel; all that came on it."""
        return Response(*heard(self.front_end, channel))

    def get(self, path: str, headers: Mapping[str, str] | None = None, /, **members: Any) -> Response:
        """Ask, and wait for the answer."""
        return self.receive(self.send(path, headers, **members))


def write_package(
    place: Path,
    directory_name: str,
    files: Mapping[str, bytes] | Mapping[str, str] | Mapping[str, bytes | str] | None = None,
    /,
    **manifest: Any,
) -> Path:
    """Write a package into a data directory, `Home.data_home` (the user's) or `Home.data_dir` (the system's)."""
    directory = place / "cockpit" / directory_name
    for file, content in {"manifest.json": json.dumps(manifest), **(files or {})}.items():
        path = directory / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return directory


def packed(content: bytes | str) -> bytes:
    """As gzip, the same at each call."""
    return gzip.compress(content.encode() if isinstance(content, str) else content, mtime=0)
