"""Payload `echo`: sends data back as it came."""

from typing import Any

from spanbridge.protocol.control import frame_of, read_object
from spanbridge.protocol.frames import Buffer, Span, control_payload, join, payloads
from spanbridge.protocol.problems import PROTOCOL_ERROR, Problem

from .base import Port, Services


class Echo:
    """One `echo` channel. Text, unless it was opened with `binary: "raw"`."""

    __slots__ = ("_port", "_text")

    def __init__(self, port: Port, options: dict[str, Any], services: Services) -> None:
        self._port = port
        self._text = options.get("binary") != "raw"
        port.control("ready")

    def put(self, data: Span) -> None:
        # What comes back is what came, headers and all. The headers are whole characters, so the frames are text
        # if and only if the span is.
        if not self._text or _is_text(join(data)):
            self._port.forward(data)
            return
        for payload in payloads(data):
            if not _is_text(payload):
                message = 'echo: data that is not UTF-8 on a channel without binary: "raw"'
                self._port.close(Problem(PROTOCOL_ERROR, message))
                return
            self._port.send(payload)

    def command(self, ident: bytes, command: str, frame: bytes) -> None:
        if command == "ping":
            self._port.forward(frame_of({**read_object(control_payload(frame)), "command": "pong"}))
        elif command == "done":
            self._port.control("done")
            self._port.close()

    def end(self) -> None:
        """Nothing is held."""


def _is_text(data: Buffer) -> bool:
    try:
        str(data, "utf-8")
    except UnicodeDecodeError:
        return False
    return True
