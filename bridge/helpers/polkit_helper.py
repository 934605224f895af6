"""polkit's own helper, which runs PAM as root and has an agent ask the user.

It is a socket on newer systems, else a program that is set-user-ID. Either way it is told user and cookie, and then
says line by line what PAM wants; polkit learns the outcome from the helper itself.
"""

import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, NamedTuple

import anyio
from anyio import CancelScope

from spanbridge.protocol.problems import INTERNAL_ERROR, NOT_FOUND, Problem

from ..payloads.base import Services
from ..payloads.connect.connect import connect
from ..payloads.connect.target import Target
from .process import Process, SpawnError
from .stderr import Stderr

SOCKET: Final = "/run/polkit/agent-helper.socket"
PROGRAMS: Final = (
    "/usr/lib/polkit-1/polkit-agent-helper-1",
    "/usr/libexec/polkit-agent-helper-1",
    "/usr/lib/policykit-1/polkit-agent-helper-1",
)
LINE_BYTES: Final = 64 << 10
SAID_BYTES: Final = 1 << 20  # in all

_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class Asked(NamedTuple):
    """What the user is asked. `prompt` is empty for a password; `told` and `failed` go with it."""

    prompt: str
    echo: bool
    told: str
    failed: str


Ask = Callable[[Asked], Awaitable[str]]


class _Ends(NamedTuple):
    """Descriptors of the helper: to read from, and to write to."""

    reading: int
    writing: int


async def authenticate(services: Services, user: str, cookie: str, ask: Ask) -> bool:
    """Whether the user has authenticated. Raises Problem."""
    if _has_socket():
        return bool(await _converse(_by_socket(services), f"{user}\n{cookie}\n", ask))
    program = next((each for each in PROGRAMS if os.access(each, os.X_OK)), None)
    if program is None:
        raise Problem(NOT_FOUND, f"polkit's helper: neither {SOCKET} nor {' nor '.join(PROGRAMS)}")
    outcome = await _converse(_by_program(services, [program, user]), f"{cookie}\n", ask)
    if outcome is None:  # an older one, which says nothing without its second argument
        outcome = await _converse(_by_program(services, [program, user, cookie]), "", ask)
    return bool(outcome)


def _has_socket() -> bool:
    return os.path.exists(SOCKET)


def _nothing() -> None:
    """Its output ends with it: that is seen."""


@asynccontextmanager
async def _by_socket(services: Services) -> AsyncIterator[_Ends]:
    sock: socket.socket = await connect(Target(unix=SOCKET), services)
    with sock:
        yield _Ends(sock.fileno(), sock.fileno())


@asynccontextmanager
async def _by_program(services: Services, argv: list[str]) -> AsyncIterator[_Ends]:
    context, limits = services.context, services.context.limits
    try:
        process = Process(argv, {"LANG": "C"}, None, _nothing, watchdog=context.watchdog, children=context.children)
    except SpawnError as error:
        raise Problem(INTERNAL_ERROR, str(error)) from None
    name = argv[0].rpartition("/")[2]
    stderr = Stderr(context.loop, process.stderr, context.log, name, process.pid, limits.stderr_line_bytes)
    try:
        yield _Ends(process.stdout, process.stdin)
    finally:
        for fd in (process.stdin, process.stdout):
            os.close(fd)
        stderr.close()
        with CancelScope(shield=True):
            seconds = limits.term_seconds
            if await process.stop(seconds) or await process.kill(seconds):
                await process.end_group(seconds)
            else:  # it has another user by now
                process.abandon()


async def _converse(opened: AbstractAsyncContextManager[_Ends], first: str, ask: Ask) -> bool | None:
    """The outcome; None: it has ended without a word. Raises Problem."""
    async with opened as ends:
        await _write(ends, first)
        told: list[str] = []
        failed: list[str] = []
        spoken = False
        async for line in _lines(ends):
            spoken = True
            word, _, text = line.partition(" ")
            if word in ("PAM_PROMPT_ECHO_OFF", "PAM_PROMPT_ECHO_ON"):
                prompt = unescape(text)
                asked = Asked(
                    "" if prompt.startswith("Password") else prompt,
                    word == "PAM_PROMPT_ECHO_ON",
                    "\n".join(told),
                    "\n".join(failed),
                )
                told, failed = [], []
                await _write(ends, (await ask(asked)).replace("\n", "") + "\n")
            elif word == "PAM_TEXT_INFO":
                told.append(unescape(text))
            elif word == "PAM_ERROR_MSG":
                failed.append(unescape(text))
            elif word in ("SUCCESS", "FAILURE"):
                return word == "SUCCESS"
        return False if spoken else None


async def _write(ends: _Ends, text: str) -> None:
    data = text.encode(errors="surrogatepass")  # an answer may have half a character
    try:
        while data:
            try:
                data = data[os.write(ends.writing, data) :]
            except BlockingIOError:
                await anyio.wait_writable(ends.writing)
    except (BrokenPipeError, ConnectionResetError):
        return  # it has ended: what it said before is still read


async def _lines(ends: _Ends) -> AsyncIterator[str]:
    """Raises Problem where there is no end of them: what is said is kept until the user is asked."""
    held, size = b"", 0
    while True:
        try:
            data = os.read(ends.reading, LINE_BYTES)
        except BlockingIOError:
            await anyio.wait_readable(ends.reading)
            continue
        except ConnectionResetError:
            return
        if not data:
            return
        size += len(data)
        *lines, held = (held + data).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace").rstrip("\r")
        if size > SAID_BYTES or len(held) > LINE_BYTES:
            raise Problem(INTERNAL_ERROR, "polkit's helper talks without end")


def unescape(text: str) -> str:
    """A text of the helper as PAM had it: it writes C's escapes, octal for all that is not ASCII."""
    out = bytearray()
    at = 0
    while at < len(text):
        char = text[at]
        digits = text[at + 1 : at + 4]
        if char != "\\":
            out += char.encode()
            at += 1
        elif len(digits) == 3 and set(digits) <= set("01234567"):
            out.append(int(digits, 8) & 0xFF)
            at += 4
        else:
            out += _ESCAPES.get(digits[:1], digits[:1]).encode()
            at += 2
    return out.decode(errors="replace")
