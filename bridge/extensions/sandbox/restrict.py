"""Locks this process in. Called once, before any code of an extension is loaded; there is no way back."""

import ctypes
import errno
import functools
import os
import platform
import random
import resource
import signal
import sys
from typing import Final

from .cage import Cage
from .calls import NUMBERS
from .filter import AF_INET, AF_INET6, Filter, program_of
from .landlock import EXECUTE, PORTS_SINCE, READ, READ_FILE, WRITE, WRITE_FILE, apply_landlock, landlock_abi

_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_GET_NO_NEW_PRIVS: Final = 39
_PR_SET_DUMPABLE: Final = 4
_PR_SET_SECCOMP: Final = 22
_MODE_FILTER: Final = 2
_PROT_READ_WRITE: Final = 3
_MAP_PRIVATE_ANONYMOUS_NOREPLACE: Final = 0x100022
_MOST: Final = (1 << 63) - 1
_ADDRESSES: Final = 4 << 30  # beyond its memory: libraries, and what stacks and heaps of threads reserve
_SYSTEM: Final = (
    "/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin", "/etc/ssl", "/etc/ld.so.cache", "/etc/localtime",
    "/etc/timezone", "/etc/mime.types", "/proc/self", "/proc/meminfo", "/proc/stat", "/proc/cpuinfo",
    "/sys/devices/system/cpu/online",
)  # fmt: skip
_FOR_NAMES: Final = (
    "/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services", "/run/systemd/resolve",
)  # fmt: skip
_FOR_PROGRAMS: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib64")
_DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)


class Doorway:
    """A path in memory, at an address that nobody can guess: the one that `execve` may be given."""

    def __init__(self, path: str) -> None:
        data = os.fsencode(path) + b"\0"
        while True:
            wanted = random.SystemRandom().randrange(1 << 32, 1 << 46) & ~0xFFFF
            found = _libc.mmap(wanted, len(data), _PROT_READ_WRITE, _MAP_PRIVATE_ANONYMOUS_NOREPLACE, -1, 0)
            if found == wanted:
                break
        self.address = wanted
        ctypes.memmove(wanted, data, len(data))

    def go_through(self, arguments: list[str], environ: dict[str, str]) -> None:
        """Become the program. Raises OSError."""
        argv = (ctypes.c_char_p * (len(arguments) + 1))(*[os.fsencode(each) for each in arguments], None)
        told = [os.fsencode(f"{name}={value}") for name, value in environ.items()]
        envp = (ctypes.c_char_p * (len(told) + 1))(*told, None)
        _libc.execve(ctypes.c_void_p(self.address), argv, envp)
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def restrict(cage: Cage, doorway: Doorway | None = None) -> None:
    """Lock this process in, which must have one thread. Raises OSError."""
    machine = platform.machine()
    if machine not in NUMBERS:
        raise OSError(errno.ENOSYS, f"no table of system calls for {machine}")
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, cage.descriptors)
    _limit(resource.RLIMIT_FSIZE, cage.files_bytes)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a file that would be too large is an error
    if doorway is None:
        _limit(resource.RLIMIT_DATA, cage.memory_bytes)
        # What is shared is no data: that is looked at from time to time, and until then bound by this.
        _limit(resource.RLIMIT_AS, cage.memory_bytes + _ADDRESSES)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_SET_DUMPABLE, 0)
    abi = landlock_abi()
    if abi:
        ports = None if cage.network is True or (cage.network and abi < PORTS_SINCE) else (cage.network or ())
        apply_landlock(abi, paths(cage), ports)
    _apply(program_of(machine, _filter(cage, 0 if doorway is None else doorway.address)))


def prepare() -> None:
    """Work out what is the same for all extensions that ask for nothing, once, before any process is forked."""
    machine = platform.machine()
    if machine in NUMBERS:
        program_of(machine, Filter(0))
    landlock_abi()
    _interpreter()
    _libc.prctl(_PR_GET_NO_NEW_PRIVS, ctypes.c_ulong(0), 0, 0, 0)  # so that the function is there; either is right


def _filter(cage: Cage, path: int) -> Filter:
    families = (AF_INET, AF_INET6) if cage.network else ()
    # A list of ports is one of TCP: datagrams would not be bound by it.
    return Filter(os.getpid(), families, cage.network is True, cage.run, path)


def paths(cage: Cage) -> list[tuple[str, int]]:
    """Every path with the rights on it."""
    inside = [cage.directory, *_SYSTEM, *_interpreter(), *cage.read]
    if cage.network:
        inside += _FOR_NAMES
    found = [(path, READ) for path in inside]
    found += [(path, READ_FILE | WRITE_FILE) for path in _DEVICES]
    found += [(path, WRITE) for path in (cage.files, *cage.write)]
    if cage.run:
        found += [(path, READ | EXECUTE) for path in (*_FOR_PROGRAMS, cage.directory)]
    if cage.program:
        found += [(path, READ_FILE | EXECUTE) for path in (cage.program, *_LOADERS)]
    return found


_LOADERS: Final = (
    "/lib64/ld-linux-x86-64.so.2",
    "/lib/ld-linux-aarch64.so.1",
    "/lib/ld-musl-x86_64.so.1",
    "/lib/ld-musl-aarch64.so.1",
)


@functools.cache
def _interpreter() -> tuple[str, ...]:
    """Where this Python, its libraries and spanbridge are."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    package = os.path.dirname(here)
    # An editable install has links to its parts.
    parts = {os.path.realpath(package), *[os.path.realpath(os.path.join(package, each)) for each in ("protocol",)]}
    return (sys.prefix, sys.base_prefix, *[path for path in sys.path if os.path.isabs(path)], *sorted(parts))


def _limit(which: int, value: int) -> None:
    hard = resource.getrlimit(which)[1]
    value = min(value, _MOST if hard == resource.RLIM_INFINITY else hard)
    resource.setrlimit(which, (value, value))


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


class _Program(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def _apply(code: bytes) -> None:
    buffer = ctypes.create_string_buffer(code, len(code))
    given = _Program(len(code) // 8, ctypes.addressof(buffer))
    if _libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), ctypes.byref(given), 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
