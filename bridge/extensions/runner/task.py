"""What the host and the fork server say to one another, and what a process of an extension is told at its start."""

from typing import Final

import msgspec

from ..sandbox.cage import Cage

MAIN_FD: Final = 3
CALLS_FD: Final = 4


class Task(msgspec.Struct, frozen=True):
    """What a process of an extension is told at its start."""

    name: str
    version: str
    main: str
    message_bytes: int
    cage: Cage
    language: str = "python"
    command: list[str] = []
    """How node is called."""


class Start(msgspec.Struct, frozen=True, tag="start"):
    """Start a process; its main socket, calls socket and the pipe for what it prints come along."""

    token: int
    task: Task


class Kill(msgspec.Struct, frozen=True, tag="kill"):
    pid: int


class Started(msgspec.Struct, frozen=True, tag="started"):
    token: int
    pid: int
    """0: it could not be started."""
    why: str = ""


class Exited(msgspec.Struct, frozen=True, tag="exited"):
    pid: int
    status: int
    """As waitstatus_to_exitcode has it: below 0 for a signal."""


FromHost = Start | Kill
ToHost = Started | Exited
