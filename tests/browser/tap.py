"""What a front end says to its session, as it says it: a copy of the session's stdin."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spanbridge.testing.frames import Decoder, Frame

# tee writes to its stdout first, so that is the file: what the session has answered is in it.
_TAPPED = 'exec < <(exec tee -- /dev/fd/3 3>&1 >>"$0"); exec "$@"'


def tapped(argv: Sequence[str], file: Path) -> list[str]:
    """A command that becomes `argv`, under the same pid, while a child of it appends to `file` what comes on stdin."""
    return ["bash", "-c", _TAPPED, str(file), *argv]


class Tap:
    """Reads the `file` of a tapped command."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def frames(self) -> list[Frame]:
        """All that has come so far; a frame that is not whole yet is left out."""
        return Decoder().feed(self.file.read_bytes())

    def package_files(self) -> list[str]:
        """The path of each open that asks for a package's file, in their order."""
        messages = [frame.message for frame in self.frames() if not frame.channel]
        return [
            message["path"]
            for message in messages
            if message["command"] == "open" and message.get("payload") == "http-stream1"
        ]

    def calls(self) -> list[list[Any]]:
        """Path, interface, method and arguments of each call on a D-Bus channel, in their order."""
        messages = [frame.message for frame in self.frames() if not frame.channel]
        buses = {message["channel"] for message in messages if message.get("payload") == "dbus-json3"}
        said = [json.loads(frame.payload) for frame in self.frames() if frame.channel in buses]
        return [message["call"] for message in said if "call" in message]
