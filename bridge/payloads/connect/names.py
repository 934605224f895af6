"""From a host name to addresses. Only what is neither `localhost` nor an IP literal is looked up, in a thread."""

import errno
import os
import socket
from asyncio import AbstractEventLoop, Future
from threading import Thread
from typing import Any, Final, Protocol

import anyio
import msgspec

LOCALHOST: Final = ("127.0.0.1", "::1")


class Address(msgspec.Struct, frozen=True):
    """One address of a host, as the system's calls want it."""

    family: int
    sockaddr: Any

    def __str__(self) -> str:
        return str(self.sockaddr[0])


class _Log(Protocol):
    def limit(self, name: str, value: float, /) -> None: ...


class Resolver:
    """Looks names up, for a session or for the host of extensions. At most `most` (`lookups`) at once, the others wait:
    a look-up for which nobody waits any more keeps its place until the system gives it up."""

    def __init__(self, loop: AbstractEventLoop, log: _Log, most: int) -> None:
        self._loop = loop
        self._log = log
        self._most = most
        self._places = anyio.Semaphore(most)

    async def addresses(self, host: str, port: int) -> list[Address]:
        """The addresses of `host`, in the order in which they are to be tried.

        Raises OSError (socket.gaierror).
        """
        if host.lower() == "localhost":
            return [address for name in LOCALHOST for address in _of_literal(name, port)]
        return _of_literal(host, port) or await self._look_up(host, port)

    async def _look_up(self, host: str, port: int) -> list[Address]:
        if not self._places.value and not self._places.statistics().tasks_waiting:
            self._log.limit("lookups", self._most)
        await self._places.acquire()
        found: Future[list[Address]] = self._loop.create_future()

        def done(outcome: list[Address] | Exception) -> None:
            self._places.release()
            if found.done():  # cancelled: nobody waits any more
                return
            if isinstance(outcome, Exception):
                found.set_exception(outcome)
            else:
                found.set_result(outcome)

        def work() -> None:
            outcome: list[Address] | Exception
            try:
                outcome = _all_of(_name(host), port)
            except (OSError, UnicodeError) as error:
                outcome = error
            try:
                self._loop.call_soon_threadsafe(done, outcome)
            except RuntimeError:  # the loop is closed: the session has ended meanwhile
                return

        # The resolver cannot be interrupted: a thread that is stuck in it must not hold up the end of the process.
        try:
            Thread(target=work, name="look-up", daemon=True).start()
        except RuntimeError as error:
            self._places.release()
            raise OSError(errno.EAGAIN, str(error)) from None
        try:
            return await found
        except UnicodeError as error:
            raise socket.gaierror(socket.EAI_NONAME, f"not a host name: {error}") from None


def _name(host: str) -> str | bytes:
    """In the form that keeps getaddrinfo from encoding it where it needs no encoding, and bytes as they are."""
    try:
        return host.encode("ascii")
    except UnicodeEncodeError:
        return os.fsencode(host) if any("\udc80" <= letter <= "\udcff" for letter in host) else host


def _of_literal(host: str, port: int) -> list[Address]:
    """The address that `host` itself is; none if it is a name."""
    if not host.isascii():
        return []
    try:
        return _all_of(host.encode(), port, socket.AI_NUMERICHOST)
    except socket.gaierror:
        return []


def _all_of(host: str | bytes, port: int, flags: int = 0) -> list[Address]:
    flags |= socket.AI_NUMERICSERV
    found = socket.getaddrinfo(host, str(port), type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=flags)
    return [Address(family, sockaddr) for family, _, _, _, sockaddr in found]
