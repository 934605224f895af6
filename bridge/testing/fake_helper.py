"""A helper that does what it is told: `python -I -S fake_helper.py SCRIPT [ARGUMENT...]`.

SCRIPT is a JSON list of steps, each a list of a name and its arguments; script.py makes them and says what each does.
When the last step is done it exits with status 0. Little is imported, so that it starts fast.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

JOURNAL = "BRIDGE_KIT_JOURNAL"
READ_BYTES = 1 << 18


class EndOfInput(Exception):
    """The bridge has closed our stdin."""


class Stop(Exception):
    """A handler ends the `serve` that called it."""


class Helper:
    """`event`, `channel`, `payload` and `message` are those of the frame that was read last."""

    def __init__(self) -> None:
        self.unread = b""  # from `at` on
        self.at = 0
        self.event = ""  # a command, or "data"
        self.channel = ""
        self.payload = b""
        self.message: dict[str, Any] = {}
        self.signalled = -1  # can be read once a signal has come that there are steps for

    # Waiting

    def block(self, fd: int, seconds: float | None = None) -> None:
        """Wait until `fd` can be read (none below 0). A signal is heeded, also one that comes right before the wait."""
        if self.signalled < 0 and fd >= 0:
            return  # whoever reads waits; no signal has a handler
        end = None if seconds is None else time.monotonic() + seconds
        poll = select.poll()
        for each in (fd, self.signalled):
            if each >= 0:
                poll.register(each, select.POLLIN)
        while True:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                return
            for ready, _ in poll.poll(None if left is None else left * 1000):
                if ready == fd:
                    return
                os.read(ready, READ_BYTES)  # its handler has run by now

    # Frames

    def read(self) -> str:
        line = self.unread.find(b"\n", self.at)
        while line < 0:
            self.unread = self.unread[self.at :] + self.more()
            self.at = 0
            line = self.unread.find(b"\n")
        start = line + 1
        stop = start + int(self.unread[self.at : line])
        if stop > len(self.unread):
            pieces, found = [self.unread], len(self.unread)
            while found < stop:
                pieces.append(self.more())
                found += len(pieces[-1])
            self.unread = b"".join(pieces)
        self.at = stop
        end = self.unread.index(b"\n", start)
        self.payload = self.unread[end + 1 : stop]
        self.channel = self.unread[start:end].decode()
        self.event = "data"
        if end == start:
            self.message = json.loads(self.payload)
            self.channel = self.message.get("channel", "")
            self.event = self.message["command"]
        return self.event

    def more(self) -> bytes:
        self.block(0)
        data = os.read(0, READ_BYTES)
        if not data:
            raise EndOfInput
        return data

    def control(self, message: dict[str, Any]) -> None:
        self.frame("", json.dumps(message).encode())

    def frame(self, channel: str, payload: bytes) -> None:
        body = channel.encode() + b"\n" + payload
        write(1, b"%d\n" % len(body) + body)

    def filled(self, value: Any) -> Any:
        """`value` with "$channel" in its texts replaced."""
        if isinstance(value, str):
            return value.replace("$channel", self.channel)
        if isinstance(value, dict):
            return {name: self.filled(member) for name, member in value.items()}
        return value

    # Steps

    def run(self, steps: list[list[Any]]) -> None:
        for name, *arguments in steps:
            getattr(self, "do_" + name)(*arguments)

    def do_init(self, members: dict[str, Any]) -> None:
        self.control({"command": "init", "version": 1, **members})

    def do_ready(self, members: dict[str, Any]) -> None:
        about = {"pid": os.getpid(), "argv": sys.argv[2:], "environ": dict(os.environ), "cwd": os.getcwd()}
        self.control({"command": "ready", "channel": self.channel, **about, "open": self.message, **members})

    def do_send(self, message: dict[str, Any]) -> None:
        self.control(self.filled(message))

    def do_data(self, channel: str, text: str) -> None:
        self.frame(self.filled(channel), text.encode("latin-1"))

    def do_echo(self) -> None:
        self.frame(self.channel, self.payload)

    def do_raw(self, text: str) -> None:
        write(1, text.encode("latin-1"))

    def do_flood(self, channel: str, size: int, count: int) -> None:
        ident = self.filled(channel)
        for number in range(count):
            self.frame(ident, (b"%d " % number).ljust(size, b"."))

    def do_stderr(self, text: str, count: int) -> None:
        lines = [f"{text} {number}\n" for number in range(1, count + 1)] if count > 1 else [f"{text}\n"]
        write(2, "".join(lines).encode())

    def do_stderr_raw(self, text: str) -> None:
        write(2, text.encode("latin-1"))

    def do_repeat(self, count: int, steps: list[list[Any]]) -> None:
        for _ in range(count):
            self.run(steps)

    def do_read(self, event: str) -> None:
        while self.read() != event and event:
            pass

    def do_serve(self, handlers: dict[str, list[list[Any]]]) -> None:
        try:
            while True:
                if self.read() in handlers:
                    self.run(handlers[self.event])
                else:
                    self.do_answer()
        except (EndOfInput, Stop):
            return

    def do_stop(self) -> NoReturn:
        raise Stop

    def do_answer(self) -> None:
        if self.event == "open":
            self.do_ready({})
        elif self.event == "data":
            self.do_echo()
        elif self.event == "close":
            self.control({"command": "close", "channel": self.channel})
        elif self.event == "ping" and self.channel:
            self.control({**self.message, "command": "pong"})

    def do_wait(self, path: str) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a gate that was given up has no other end to wait for
        os.set_blocking(fd, True)
        self.block(fd)
        os.read(fd, 1)
        os.close(fd)

    def do_delay(self, seconds: float) -> None:
        self.block(-1, seconds)

    def do_forever(self) -> NoReturn:
        while True:
            self.block(-1)

    def do_note(self, text: str) -> None:
        told = {"note": text, "pid": os.getpid(), "argv": sys.argv[2:], "channel": self.channel}
        fd = os.open(os.environ[JOURNAL], os.O_WRONLY | os.O_APPEND)
        write(fd, json.dumps(told).encode() + b"\n")
        os.close(fd)

    def do_note_message(self) -> None:
        self.do_note(json.dumps(self.message))

    def do_note_size(self) -> None:
        self.do_note(str(len(self.payload)))

    def do_exit(self, status: int) -> NoReturn:
        os._exit(status)

    def do_die(self, number: int) -> NoReturn:
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        self.do_forever()

    def do_close(self, fd: int) -> None:
        os.close(fd)

    def do_ignore(self, *numbers: int) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)

    def do_on_signal(self, number: int, steps: list[list[Any]]) -> None:
        if self.signalled < 0:
            self.watch_signals()
        signal.signal(number, lambda *_: self.run(steps))

    def watch_signals(self) -> None:
        self.signalled, writing = os.pipe()
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def do_fork(self, steps: list[list[Any]]) -> None:
        if os.fork() == 0:
            try:
                if self.signalled >= 0:
                    self.watch_signals()
                self.run(steps)
            finally:
                os._exit(0)

    def do_set_session(self) -> None:
        os.setsid()


def write(fd: int, data: bytes) -> None:
    """All of it."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def main() -> NoReturn:
    try:
        Helper().run(json.loads(sys.argv[1]))
    except (EndOfInput, BrokenPipeError):
        os._exit(0)
    os._exit(0)


if __name__ == "__main__":
    main()
