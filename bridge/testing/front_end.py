"""The front end's side of a bridge: two descriptors, frames to send, frames to wait for."""

import fcntl
import os
import select
import struct
import termios
from collections.abc import Callable, Iterable
from typing import Any

from .deadline import SECONDS, Deadline, Hang
from .frames import Decoder, Frame, encode, encode_control
from .tracebacks import HIDE

__tracebackhide__ = HIDE

PAGE = os.sysconf("SC_PAGE_SIZE")
_READ_BYTES = 1 << 20


class Unexpected(AssertionError):
    """Something else came than what was waited for."""


class FrontEnd:
    """Speaks the protocol on `to_bridge` and `from_bridge`, which it owns.

    Everything that comes is kept in `log`, in order. A frame that nobody has asked for yet is not lost: it waits in
    `pending` until somebody does. While it sends, it also reads, as a front end does; see `reading`.

    `explain` gives what is to be told of the bridge when a wait fails.
    """

    def __init__(
        self, to_bridge: int, from_bridge: int, *, explain: Callable[[], str] = str, seconds: float = SECONDS
    ) -> None:
        self.log: list[Frame] = []
        self.pending: list[Frame] = []
        self.ended = False  # the bridge has closed its stdout
        self.reading = True  # False: stuck, takes nothing that the bridge says unless it is asked to
        self.sent = 0  # bytes
        self._to = to_bridge
        self._from = from_bridge
        self._decoder = Decoder()
        self._explain = explain
        self._seconds = seconds
        self._pings = 0
        os.set_blocking(to_bridge, False)
        os.set_blocking(from_bridge, False)

    # To the bridge

    @property
    def unread(self) -> int:
        """Bytes that the bridge has written and that were not read yet."""
        return _waiting(self._from)

    @property
    def untaken(self) -> int:
        """Bytes that were sent and that the bridge has not read yet."""
        return _waiting(self._to)

    def write(self, data: bytes, deadline: Deadline | None = None) -> None:
        """Send `data` as it is. Raises BrokenPipeError once the bridge reads no more, Hang."""
        deadline = deadline or Deadline(self._seconds)
        left = memoryview(data)
        while left:
            try:
                done = os.write(self._to, left[: 1 << 20])
                self.sent += done
                left = left[done:]
            except BlockingIOError:
                self._pump(deadline, write=True, what=f"the bridge to take {len(left)} bytes")

    def try_write(self, data: bytes) -> int:
        """Send what the pipe takes at once; the number of bytes."""
        done = 0
        try:
            while done < len(data):
                done += os.write(self._to, data[done : done + 65_536])
        except BlockingIOError:
            pass
        self.sent += done
        return done

    def wait_writable(self, deadline: Deadline, other: int) -> None:
        """Wait until there is room in a pipe that was full, or `other`, a descriptor, can be read. Reads nothing."""
        poll = select.poll()
        poll.register(self._to, select.POLLOUT)
        poll.register(other, select.POLLIN)
        if not poll.poll(deadline.left_ms):
            raise Hang(f"waited for the bridge to read on\n{self._told()}")

    def write_apart(self, pieces: Iterable[bytes]) -> None:
        """Send pieces of at most a page, each when the bridge has read the one before it.

        A pipe of one page can be written when it is empty, and not before (pipe(7)).
        """
        deadline = Deadline(self._seconds)
        fcntl.fcntl(self._to, fcntl.F_SETPIPE_SZ, PAGE)
        for piece in pieces:
            if not 0 < len(piece) <= PAGE:
                raise ValueError(f"a piece of {len(piece)} bytes")
            while not self._pump(deadline, write=True, what="the bridge to read a piece"):
                pass
            self.write(piece, deadline)

    def send(self, channel: str, payload: bytes) -> None:
        """One data frame."""
        self.write(encode(channel, payload))

    def control(self, command: str, /, **members: Any) -> None:
        """One control message; `_` in a member's name stands for `-`."""
        self.message({"command": command, **{name.replace("_", "-"): value for name, value in members.items()}})

    def message(self, message: dict[str, Any]) -> None:
        """One control message, its members as they are."""
        self.write(encode_control(message))

    def init(self, host: str = "localhost", **members: Any) -> None:
        self.control("init", version=1, host=host, **members)

    def open(self, channel: str, payload: str = "test", **members: Any) -> None:
        self.control("open", channel=channel, payload=payload, **members)

    def close(self, channel: str, **members: Any) -> None:
        self.control("close", channel=channel, **members)

    def hang_up(self) -> None:
        """Close the bridge's stdin. Harmless a second time."""
        if self._to >= 0:
            os.close(self._to)
            self._to = -1

    def stop_listening(self) -> None:
        """Close our end of the bridge's stdout: what it writes from now on fails with EPIPE."""
        if self._from >= 0:
            os.close(self._from)
            self._from = -1

    # From the bridge

    def expect(self, command: str, channel: str | None = None, **members: Any) -> dict[str, Any]:
        """Wait for a control message: of this command, for this channel if one is given, with these members.

        The first such message that was not taken yet. A `close` of the channel that comes instead is Unexpected.
        """
        wanted = {name.replace("_", "-"): value for name, value in members.items()}

        def fits(frame: Frame) -> bool:
            if frame.channel:
                return False
            message = frame.message
            if channel is not None and message.get("channel") != channel:
                return False
            has_members = all(message.get(name, ...) == value for name, value in wanted.items())
            if message.get("command") == command and has_members:
                return True
            if channel is not None and message.get("command") == "close":
                raise Unexpected(f"expected {about}, the channel was closed: {frame}")
            return False

        about = f"{command}{'' if channel is None else f' of channel {channel}'}{f' with {wanted}' if wanted else ''}"
        return self.take(fits, about).message

    def data(self, channel: str, nbytes: int) -> bytes:
        """Wait for `nbytes` bytes of data on a channel, in any number of frames that end just there."""
        pieces: list[bytes] = []
        left = nbytes
        while left > 0:
            frame = self.take(lambda frame: self._is_data(frame, channel), f"{left} more bytes of data on {channel}")
            pieces.append(frame.payload)
            left -= len(frame.payload)
        found = b"".join(pieces)
        if left:
            raise Unexpected(f"expected {nbytes} bytes of data on {channel}, found {len(found)}: {found[:200]!r}")
        return found

    @staticmethod
    def _is_data(frame: Frame, channel: str) -> bool:
        if frame.channel:
            return frame.channel == channel
        message = frame.message
        if message.get("channel") == channel and message.get("command") == "close":
            raise Unexpected(f"expected data on {channel}, the channel was closed: {frame}")
        return False

    def take(self, fits: Callable[[Frame], bool], what: str) -> Frame:
        """Wait for the first frame that was not taken yet and that `fits`; it is taken."""
        deadline = Deadline(self._seconds)
        seen = 0
        while True:
            for index in range(seen, len(self.pending)):
                if fits(self.pending[index]):
                    return self.pending.pop(index)
            seen = len(self.pending)
            if self.ended:
                raise Unexpected(f"expected {what}, the bridge has ended\n{self._told()}")
            self._pump(deadline, read=True, what=what)

    def wait_until(self, enough: Callable[[], bool], what: str, deadline: Deadline | None = None) -> None:
        """Read until `enough()`, looked at after each read; nothing is taken."""
        deadline = deadline or Deadline(self._seconds)
        while not enough():
            if self.ended:
                raise Unexpected(f"expected {what}, the bridge has ended\n{self._told()}")
            self._pump(deadline, read=True, what=what)

    def sync(self) -> None:
        """Wait until the bridge has acted on all that was sent: a ping of its own, one hop there and back."""
        self._pings += 1
        cookie = f"sync-{self._pings}"
        self.control("ping", cookie=cookie)
        self.expect("pong", cookie=cookie)

    def round_trip(self, channel: str) -> None:
        """Wait until whoever has the channel has acted on all that was sent on it: a ping on the channel."""
        self._pings += 1
        cookie = f"trip-{self._pings}"
        self.control("ping", channel=channel, cookie=cookie)
        self.expect("pong", channel, cookie=cookie)

    def of(self, channel: str) -> list[Frame]:
        """All that ever came about a channel, data and control, taken or not."""
        return [frame for frame in self.log if self._about(frame) == channel]

    def commands(self, channel: str) -> list[str]:
        """What came about a channel: the command of each control message, "data" for each data frame."""
        return ["data" if frame.channel else str(frame.message["command"]) for frame in self.of(channel)]

    def data_so_far(self, channel: str) -> bytes:
        """All data that ever came on a channel, taken or not."""
        return b"".join(frame.payload for frame in self.log if frame.channel == channel)

    @staticmethod
    def _about(frame: Frame) -> Any:
        return frame.channel or frame.message.get("channel")

    def read_to_end(self) -> None:
        """Read until the bridge closes its stdout."""
        deadline = Deadline(self._seconds)
        while not self.ended:
            self._pump(deadline, read=True, what="the end of the bridge's stdout")
        if self._decoder.rest:
            raise Unexpected(f"the bridge ended within a frame: {bytes(self._decoder.rest[:200])!r}")

    # Both at once

    def _pump(self, deadline: Deadline, *, what: str, read: bool = False, write: bool = False) -> bool:
        """Wait for one of the descriptors, and read what there is to read. Whether it is time to write."""
        poll = select.poll()
        if (read or self.reading) and not self.ended and self._from >= 0:
            poll.register(self._from, select.POLLIN)
        if write:
            poll.register(self._to, select.POLLOUT)
        events = poll.poll(deadline.left_ms)
        if not events:
            raise Hang(f"waited for {what}\n{self._told()}")
        if any(fd == self._from for fd, _ in events):
            self._read()
        return any(fd == self._to for fd, _ in events)

    def _read(self) -> None:
        chunk = os.read(self._from, _READ_BYTES)
        if not chunk:
            self.ended = True
        frames = self._decoder.feed(chunk)
        self.log += frames
        self.pending += frames

    def _told(self) -> str:
        last = [str(frame) for frame in self.log[-20:]]
        return "\n".join([f"of {len(self.log)} frames the last are:", *last, self._explain()])


def _waiting(fd: int) -> int:
    return int(struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4))[0])
