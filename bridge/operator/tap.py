"""`spanbridge tap`: stands between two programs that speak frames, and records what they say (docs/tools.md, "tap").

Bytes go on as they were read, whatever they are; the record is made of a copy, once they are on their way.
"""

import argparse
import contextlib
import errno
import os
import select
import signal
import socket
import stat
import subprocess
from typing import Final

from .child import StartError, exit_status, start
from .command_line import split
from .complain import complain
from .recordings.pump import Pump
from .recordings.recorder import Recorder
from .recordings.stream import Stream
from .signals import Woken, heard

PAYLOAD_BYTES: Final = 256
CANNOT_RUN: Final = 2

_FORWARDED: Final = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
_FROM_TERMINAL: Final = (signal.SIGINT, signal.SIGQUIT)


def main(arguments: list[str]) -> int:
    """Run the command with us in between; its exit status, 128 and the number where a signal killed it."""
    parser = _parser()
    own, command = split(parser, arguments)
    options = parser.parse_args(own)
    try:
        recorder = Recorder(options.output, options.format, options.payload, command)
    except OSError as error:
        complain(f"spanbridge tap: {options.output}: {_why(error)}")
        return CANNOT_RUN
    try:
        with heard(_FORWARDED) as woken:
            status = _run(command, recorder, woken)
    except StartError as error:
        complain(f"spanbridge tap: {error}")
        status = error.status
    recorder.close(status)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="spanbridge tap",
        usage="spanbridge tap [--output FILE] [--format json|text] [--payload N|none|all] -- COMMAND ...",
        description="Run COMMAND, pass on stdin and stdout unchanged, and record the frames in both directions. "
        "Passwords are left out.",
    )
    parser.add_argument(
        "--output", metavar="FILE", help="where the record goes (mode 0600); %%p is the pid. Else stderr"
    )
    parser.add_argument(
        "--format", choices=("json", "text"), help="json: for replay, the default for a FILE; text: to read"
    )
    parser.add_argument(
        "--payload",
        metavar="N|none|all",
        type=_payload,
        default=PAYLOAD_BYTES,
        help=f"how much of each payload is recorded, in bytes (default {PAYLOAD_BYTES}); replay needs all",
    )
    return parser


def _payload(value: str) -> int | None:
    if value in ("all", "none"):
        return None if value == "all" else 0
    if not (value.isascii() and value.isdigit()) or len(value) > 9:
        raise argparse.ArgumentTypeError(f"{value!r}: expected a number of bytes, none or all")
    return int(value)


def _why(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "it is a symbolic link"
    return error.strerror or str(error)


def _run(command: list[str], recorder: Recorder, woken: Woken) -> int:
    """Start the command, and see to everything until it has ended; its exit status."""
    stdin, stdout, child = _start(command)
    process, pidfd = child
    to_child = Pump(Stream(0), Stream(stdin, writes=True), lambda chunk, count: recorder.observe("in", chunk, count))
    to_us = Pump(Stream(stdout), Stream(1, writes=True), lambda chunk, count: recorder.observe("out", chunk, count))
    try:
        _relay(to_child, to_us, pidfd, woken)
    finally:
        to_child.end()
        to_us.end()
        os.close(pidfd)
    return exit_status(process)


def _start(command: list[str]) -> tuple[int, int, tuple[subprocess.Popen[bytes], int]]:
    """Our ends of the command's stdin and stdout, and the command. It gets a socket where we have one."""
    with contextlib.ExitStack() as theirs:
        if stat.S_ISSOCK(os.fstat(0).st_mode) and stat.S_ISSOCK(os.fstat(1).st_mode):
            ours, other = socket.socketpair()
            theirs.enter_context(other)
            child_in = child_out = other.fileno()
            stdin = os.dup(ours.fileno())
            stdout = ours.detach()
        else:
            child_in, stdin = os.pipe2(os.O_CLOEXEC)
            stdout, child_out = os.pipe2(os.O_CLOEXEC)
            theirs.callback(os.close, child_in)
            theirs.callback(os.close, child_out)
            os.set_blocking(stdin, False)
        try:
            process = start(command, child_in, child_out)
        except StartError:
            os.close(stdin)
            os.close(stdout)
            raise
    return stdin, stdout, (process, os.pidfd_open(process.pid))


def _relay(to_child: Pump, to_us: Pump, pidfd: int, woken: Woken) -> None:
    """Until the command has ended, and all that it wrote is on its way; what it left running is not waited for."""
    running = True
    while running or not to_us.over:
        poll = select.poll()
        to_us.register(poll)
        if running:
            to_child.register(poll)
            poll.register(pidfd, select.POLLIN)
        poll.register(woken.fd, select.POLLIN)
        events = dict(poll.poll(None if running or to_us.waiting else 0))
        if not events and not running:
            return
        if woken.fd in events:
            _forward(woken.take(), pidfd)
        if pidfd in events:
            running = False
            to_child.end()
        to_us.step(events)
        to_child.step(events)


def _forward(numbers: bytes, pidfd: int) -> None:
    for number in numbers:
        if number in _FROM_TERMINAL and _in_foreground():
            continue  # the terminal has told the command as well
        with contextlib.suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(pidfd, number)


def _in_foreground() -> bool:
    """Whether what is typed on our terminal as Ctrl-C comes to us, and to all in our process group."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
