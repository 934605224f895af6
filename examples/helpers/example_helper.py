#!/usr/bin/env python3
"""A helper: a program that serves channels for a bridge, on its stdin and stdout (docs/helpers.md).

It needs nothing but the standard library, and is meant to be copied. On a channel it says who it is, as JSON; from then
on it sends back what it is sent, with its tag in front.
"""

import argparse
import json
import os
import signal
import sys

VERSION = 1  # of the protocol
LONGEST_LENGTH = 8  # digits


class ProtocolError(Exception):
    """What came on stdin is not the protocol; the text says what was expected."""


def read_frame() -> tuple[str, bytes] | None:
    """The next frame, as (channel, payload); None at the end. The channel of a control message is empty."""
    line = sys.stdin.buffer.readline(LONGEST_LENGTH + 1)
    if not line:
        return None
    if not line[:-1].isdigit() or not line.endswith(b"\n"):
        raise ProtocolError(f"expected the length of a frame, found {line!r}")
    length = int(line)
    body = sys.stdin.buffer.read(length)
    channel, end, payload = body.partition(b"\n")
    if len(body) < length or not end:
        raise ProtocolError(f"expected a frame of {length} bytes, found {len(body)}")
    return channel.decode(), payload


def send(channel: str, payload: bytes) -> None:
    """One frame. Waits while the bridge does not read; what comes meanwhile waits in our stdin, as it should."""
    body = channel.encode() + b"\n" + payload
    sys.stdout.buffer.write(b"%d\n%b" % (len(body), body))
    sys.stdout.buffer.flush()


def send_control(command: str, **members: object) -> None:
    """One control message: a frame on the channel without a name."""
    send("", json.dumps({"command": command, **members}).encode())


class Channels:
    """The channels that the bridge has given us. Only on these may we speak: a frame on another one ends us."""

    def __init__(self, tag: str) -> None:
        self._tag = tag
        self._open: set[str] = set()

    def open(self, channel: str) -> None:
        self._open.add(channel)
        send_control("ready", channel=channel)
        environ = {name: value for name, value in os.environ.items() if name.startswith("EXAMPLE_")}
        send(channel, json.dumps({"pid": os.getpid(), "argv": sys.argv, "environ": environ}).encode())

    def data(self, channel: str, payload: bytes) -> None:
        if channel in self._open:
            send(channel, f"{self._tag}: ".encode() + payload)

    def control(self, command: str, message: dict[str, object]) -> None:
        """A control message for a channel. What we do not know, and what comes for a closed one, we ignore."""
        channel = str(message["channel"])
        if command == "open":
            self.open(channel)
        elif channel not in self._open:
            return
        elif command == "done":  # no more will come; nor from us
            send_control("done", channel=channel)
            self._close(channel)
        elif command == "close":  # an answer lets the bridge give the name to another channel at once
            self._close(channel)
        elif command == "ping":
            send("", json.dumps({**message, "command": "pong"}).encode())

    def _close(self, channel: str) -> None:
        self._open.remove(channel)
        send_control("close", channel=channel)


def serve(tag: str) -> None:
    """Speak with the bridge until it closes our stdin."""
    send_control("init", version=VERSION)
    channels = Channels(tag)
    while (frame := read_frame()) is not None:
        channel, payload = frame
        if channel:
            channels.data(channel, payload)
            continue
        message = json.loads(payload)
        if "channel" in message:
            channels.control(message["command"], message)
        elif message["command"] == "init" and message.get("version") != VERSION:
            raise ProtocolError(f"expected version {VERSION}, found {message.get('version')!r}")


def main() -> int:
    parser = argparse.ArgumentParser(description="A helper for a bridge; speaks its protocol on stdin and stdout.")
    parser.add_argument("--tag", required=True, help="what to put in front of all that is sent back")
    parser.add_argument("--literal", default="", help="not used; shows what the bridge makes of an escaped variable")
    arguments = parser.parse_args()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # where nobody reads any more, end without a word
    if not arguments.tag:  # a variable without a value expands to nothing
        send_control("init", version=VERSION, problem="not-found", message="the open has no tag")
        return 1
    try:
        serve(arguments.tag)
    except ProtocolError as error:
        print(error, file=sys.stderr)  # goes to the bridge's log
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
