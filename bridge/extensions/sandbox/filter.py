"""The seccomp filter: a table of rules made a program of the kernel's packet filter (bpf(4), seccomp(2)).

Each system call has one block: it compares the number, then perhaps arguments, and ends in a verdict. Calls without a
block are allowed, and the kernel remembers that they always are, so they cost nothing.
"""

import errno
import functools
import struct
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from .calls import AUDIT_ARCH, NEVER, NUMBERS, OF_DESCRIPTORS, STARTS, X86_64

_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_AND: Final = 0x54  # BPF_ALU | BPF_AND | BPF_K
_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_AT_LEAST: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K

ALLOW: Final = 0x7FFF0000
KILL: Final = 0x80000000
_ERRNO: Final = 0x00050000

_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16
_X32: Final = 0x40000000

AF_INET, AF_INET6 = 2, 10
_SOCK_TYPES: Final = 0xF
CLONE_THREAD: Final = 0x00010000
CLONE_NEW: Final = 0x7E020080  # every kind of namespace


def refused(number: int = errno.EPERM) -> int:
    """The verdict that a call fails with this errno."""
    return _ERRNO | number


class Step(NamedTuple):
    """One instruction; jumps are relative, 255 at most."""

    code: int
    yes: int
    no: int
    value: int


class Test(NamedTuple):
    """The 32 bits of an argument under `mask` are one of `values`, or with `none` are none; the upper half, too, if it
    is given."""

    argument: int
    values: tuple[int, ...]
    mask: int = 0xFFFFFFFF
    upper: int | None = None
    none: bool = False


class Filter(NamedTuple):
    """What one process may do beyond computing.

    `pid`: its own, the one that it may signal. `families`: of sockets. `datagrams`: UDP too. `run`: it may start
    programs. `path`: the address of the one path that it may exec, where it may not.
    """

    pid: int
    families: tuple[int, ...] = ()
    datagrams: bool = False
    run: bool = False
    path: int = 0


_ANY_PID: Final = 0x7FFFFFF1
"""Stands for the number of a process that is not known yet, and is none."""


@functools.cache
def _prepared(machine: str, wanted: Filter) -> bytes:
    return program(machine, wanted)


def program_of(machine: str, wanted: Filter) -> bytes:
    """As `program`. What was made for one process is the same for the next but for its number: made once before the
    fork, it costs no memory in each process behind it."""
    made = _prepared(machine, wanted._replace(pid=_ANY_PID))
    return made.replace(struct.pack("=I", _ANY_PID), struct.pack("=I", wanted.pid))


def program(machine: str, wanted: Filter, *, also: Iterable[tuple[int, int]] = ()) -> bytes:
    """The filter for a machine, as the kernel takes it. `also`: further numbers, with their verdicts."""
    numbers = NUMBERS[machine]
    steps = [
        Step(_LOAD, 0, 0, _ARCH),
        Step(_EQUAL, 1, 0, AUDIT_ARCH[machine]),
        Step(_RETURN, 0, 0, KILL),
        Step(_LOAD, 0, 0, _NUMBER),
    ]
    if machine == X86_64:  # the same calls by other numbers
        steps += [Step(_AT_LEAST, 0, 1, _X32), Step(_RETURN, 0, 0, refused())]
    for number, verdict in also:
        steps += _block(number, [], verdict, verdict)
    for name, (tests, verdict) in rules(wanted).items():
        if name in numbers:
            steps += _block(numbers[name], tests, ALLOW, verdict)
    steps.append(Step(_RETURN, 0, 0, ALLOW))
    return b"".join([struct.pack("=HBBI", *step) for step in steps])


def rules(wanted: Filter) -> dict[str, tuple[list[Test], int]]:
    """By name: what must hold for the call to be allowed (never, with an empty list), and else the verdict."""
    itself = [Test(0, (wanted.pid,))]
    found: dict[str, tuple[list[Test], int]] = {name: ([], refused()) for name in NEVER}
    found["clone3"] = ([], refused(errno.ENOSYS))  # its flags cannot be seen here; the C library then uses clone
    found["prlimit64"] = ([Test(0, (0,), upper=0)], refused())
    types = (1, 2) if wanted.datagrams else (1,)
    found["socket"] = ([Test(0, wanted.families), Test(1, types, _SOCK_TYPES)] if wanted.families else [], refused())
    if wanted.run:
        found["clone"] = ([Test(0, (0,), CLONE_NEW)], refused())
    else:
        found["clone"] = ([Test(0, (CLONE_THREAD,), CLONE_THREAD)], refused())
        found.update({name: ([], refused()) for name in STARTS})
        path = [Test(0, (wanted.path & 0xFFFFFFFF,), upper=wanted.path >> 32)] if wanted.path else []
        found["execve"] = (path, refused())
        found["kill"] = found["tgkill"] = (itself, refused())
        for name, values in OF_DESCRIPTORS.items():
            found[name] = ([Test(1, values, none=True)], refused())
    return found


def _block(number: int, tests: Sequence[Test], good: int, bad: int) -> list[Step]:
    body: list[Step] = []
    for test in tests:
        body += _checked(test, bad)
    body.append(Step(_RETURN, 0, 0, good if tests else bad))
    # Within a block the number is overwritten, but every block ends in a verdict.
    return [Step(_EQUAL, 0, len(body), number), *body]


def _checked(test: Test, bad: int) -> list[Step]:
    """Go on behind these steps if the test holds, else return `bad`."""
    place = _ARGUMENTS + 8 * test.argument
    steps = []
    if test.upper is not None:
        steps += [Step(_LOAD, 0, 0, place + 4), Step(_EQUAL, 1, 0, test.upper), Step(_RETURN, 0, 0, bad)]
    steps.append(Step(_LOAD, 0, 0, place))
    if test.mask != 0xFFFFFFFF:
        steps.append(Step(_AND, 0, 0, test.mask))
    count = len(test.values)
    if test.none:
        last = count - 1
        steps += [Step(_EQUAL, last - at, int(at == last), value) for at, value in enumerate(test.values)]
    else:
        steps += [Step(_EQUAL, count - at, 0, value) for at, value in enumerate(test.values)]
    steps.append(Step(_RETURN, 0, 0, bad))
    return steps
