#!/usr/bin/env python3
"""A helper that follows a log file: `log_follower.py PATH`, one process for each file (docs/helpers.md).

A channel gets the last lines (option `lines`, 10 by default), and then whatever is appended. A file that is rotated,
removed and made anew, or not there yet, is followed under its name; one that is truncated is read from its start. The
control messages `rotated` and `truncated` tell where in the data that was. Without `binary` `raw` what is not UTF-8 is
replaced.

Each channel reads the file for itself, as fast as its front end takes it. What is known only when the name is looked at
again is lost: what is written to the old file after the new one is there, and a truncation after which the file grows
beyond its old size at once.
"""

import codecs
import contextlib
import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from functools import partial

import anyio
from inotify_simple import Event, INotify, flags  # type: ignore[import-untyped]

from spanbridge.sdk import Channel, Problem, log, open_helper, refuse, run_main

LINES = 10
MOST_LINES = 10_000
TAIL_BYTES = 1 << 20  # what the last lines may come to
READ_BYTES = 64 << 10

IN_DIRECTORY = flags.CREATE | flags.MODIFY | flags.MOVED_TO | flags.MOVED_FROM | flags.DELETE
GONE = flags.DELETE_SELF | flags.MOVE_SELF


class Changes:
    """Tells all who follow the file that something has happened to it, or to its directory."""

    def __init__(self, path: str) -> None:
        self._name = os.path.basename(path)
        self._inotify = INotify(nonblocking=True)
        directory = os.path.dirname(path)
        self._inotify.add_watch(directory, IN_DIRECTORY | GONE | flags.ONLYDIR)
        # While somebody has a file of it open a removed directory says nothing: the one above does.
        self._above = self._inotify.add_watch(os.path.dirname(directory), flags.DELETE | flags.MOVED_FROM)
        self._directory = os.path.basename(directory)
        self._next = anyio.Event()
        self.gone = False

    def next(self) -> anyio.Event:
        """Set at the first change from now on. To be had before one looks at the file."""
        return self._next

    async def watch(self) -> None:
        while not self.gone:
            await anyio.wait_readable(self._inotify.fileno())
            events = self._inotify.read(timeout=0)
            self.gone = any(map(self._is_the_end, events))
            if self.gone or any(event.name == self._name or event.mask & flags.Q_OVERFLOW for event in events):
                happened, self._next = self._next, anyio.Event()
                happened.set()

    def _is_the_end(self, event: Event) -> bool:
        if event.wd == self._above:
            return bool(event.name == self._directory)
        return bool(event.mask & (GONE | flags.IGNORED))


class Follower:
    """What one channel has read of the file so far."""

    def __init__(self, path: str, lines: int) -> None:
        self._path = path
        self._fd = self._open()
        if self._fd >= 0:
            os.lseek(self._fd, start_of_last_lines(self._fd, lines), os.SEEK_SET)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def news(self) -> Iterator[bytes | str]:
        """All that is there now: data, and what has happened to the file."""
        while True:
            another = self._another()  # looked at first: what the old file has by then is read before it is left
            if self._fd >= 0:
                if os.fstat(self._fd).st_size < os.lseek(self._fd, 0, os.SEEK_CUR):
                    os.lseek(self._fd, 0, os.SEEK_SET)
                    yield "truncated"
                while data := os.read(self._fd, READ_BYTES):
                    yield data
            if not another:
                return
            had = self._fd >= 0
            self.close()
            self._fd = self._open()
            if self._fd < 0:
                return
            if had:
                yield "rotated"

    def _another(self) -> bool:
        """Whether the name leads to a file that is not the one we read."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return False
        return self._fd < 0 or not os.path.samestat(found, os.fstat(self._fd))

    def _open(self) -> int:
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return -1
        except PermissionError as error:
            raise Problem("access-denied", f"{self._path}: {error.strerror}") from None
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise Problem("not-supported", f"{self._path}: expected a regular file")
        return fd


def start_of_last_lines(fd: int, lines: int) -> int:
    """Where the last lines begin, or the last TAIL_BYTES where that is less."""
    size = os.fstat(fd).st_size
    begin = max(0, size - TAIL_BYTES)
    data = os.pread(fd, size - begin, begin)
    at = len(data) - data.endswith(b"\n")
    for _ in range(lines):
        at = data.rfind(b"\n", 0, max(at, 0))
        if at < 0:
            return begin
    return begin + at + 1 if lines else size


def wanted_lines(channel: Channel) -> int:
    lines = channel.options.get("lines", LINES)
    if not isinstance(lines, int) or not 0 <= lines <= MOST_LINES:
        raise Problem("protocol-error", f'"lines": expected a number from 0 to {MOST_LINES}, found {lines!r}')
    return lines


async def follow(channel: Channel, path: str, changes: Changes) -> None:
    binary = channel.options.get("binary") == "raw"
    decode: Callable[[bytes], str] = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
    async with channel:
        channel.discard()
        with contextlib.closing(Follower(path, wanted_lines(channel))) as follower:
            await channel.ready()
            while True:
                change = changes.next()
                for found in follower.news():
                    if isinstance(found, str):
                        await channel.control(found)
                    elif data := found if binary else decode(found):
                        await channel.send(data)
                if changes.gone:
                    raise Problem("not-found", f"{os.path.dirname(path)} was removed")
                await change.wait()


async def serve(path: str) -> int:
    try:
        changes = Changes(path)
    except OSError as error:
        problem = {errno.ENOENT: "not-found", errno.ENOTDIR: "not-found", errno.EACCES: "access-denied"}
        return refuse(problem.get(error.errno or 0, "internal-error"), f"{os.path.dirname(path)}: {error.strerror}")
    async with open_helper() as helper, anyio.create_task_group() as tasks:
        tasks.start_soon(changes.watch)
        async for channel in helper:
            tasks.start_soon(follow, channel, path, changes)
        tasks.cancel_scope.cancel()
    return 0


def main() -> int:
    if len(sys.argv) != 2 or not os.path.isabs(sys.argv[1]):
        log(f"usage: {os.path.basename(sys.argv[0])} PATH, an absolute one")
        return 2
    return run_main(partial(serve, os.path.realpath(sys.argv[1])))


if __name__ == "__main__":
    sys.exit(main())
