"""Signals as bytes to be read: a loop hears of them as of anything else."""

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator


class Woken:
    """`fd` can be read whenever a signal has come that nobody has taken."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def take(self) -> bytes:
        """The numbers of the signals that have come, each a byte."""
        try:
            return os.read(self.fd, 256)
        except BlockingIOError:
            return b""


@contextlib.contextmanager
def heard(numbers: Iterable[int]) -> Iterator[Woken]:
    """Have these signals do nothing but be told of."""
    readable, writable = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    before = signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, lambda *_: None) for number in numbers}
    try:
        yield Woken(readable)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before)
        os.close(readable)
        os.close(writable)
