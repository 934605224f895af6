"""From a target to a connected socket, non-blocking."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import anyio

from spanbridge.protocol.problems import TIMEOUT, Problem

from ..base import Services
from .names import Address, Resolver
from .problems import not_connected
from .target import Target

_PATH_BYTES: Final = 107  # of a unix socket's address (unix(7))
_FIRST_RETRY_SECONDS: Final = 0.005
_LAST_RETRY_SECONDS: Final = 0.1


async def connect(target: Target, services: Services) -> socket.socket:
    """A connected, non-blocking socket, which the caller closes. All addresses of a name are tried, one by one.

    Raises Problem: `not-found`, `access-denied`, `no-host`, `timeout` (`connect_seconds`) or `internal-error`, with a
    message that names the target. Cancelled, it leaves nothing behind.
    """
    with in_time(target, services):
        if target.unix is not None:
            return await _connect_unix(target, services)
        return await _connect_tcp(target, services)


@contextmanager
def in_time(target: Target, services: Services) -> Iterator[None]:
    """What is within takes `connect_seconds` at most, else Problem (`timeout`) is raised."""
    seconds = services.context.limits.connect_seconds
    with anyio.move_on_after(seconds) as scope:
        yield
    if scope.cancelled_caught:
        services.context.log.limit("connect_seconds", seconds)
        raise Problem(TIMEOUT, f"{target}: not connected within {seconds:g} seconds (connect_seconds)")


def connect_at_once(target: Target) -> socket.socket | None:
    """The same where nothing has to be waited for: a unix socket that takes us now. None: `connect` must see to it.

    Raises Problem as `connect` does.
    """
    if target.unix is None:
        return None
    try:
        return _try_unix(target.unix, target.kind)
    except OSError as error:
        raise not_connected(target, [(target.unix, error)]) from None


async def _connect_unix(target: Target, services: Services) -> socket.socket:
    pause = _FIRST_RETRY_SECONDS
    while (connected := connect_at_once(target)) is None:
        # Its backlog is full, and the kernel does not tell when it no longer is: this is asked for again and again.
        await anyio.sleep(pause)
        pause = min(2 * pause, _LAST_RETRY_SECONDS)
    return connected


def _try_unix(path: str, kind: int) -> socket.socket | None:
    """Connected, or None where the backlog of the socket is full. Raises OSError."""
    name = os.fsencode(path)
    if len(name) > _PATH_BYTES:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    sock = socket.socket(socket.AF_UNIX, kind | socket.SOCK_NONBLOCK)
    try:
        sock.connect(name)
    except BlockingIOError:
        sock.close()
        return None
    except BaseException:
        sock.close()
        raise
    return sock


def resolver_of(services: Services) -> Resolver:
    """One for each session: `services.once(resolver_of)`."""
    context = services.context
    return Resolver(context.loop, context.log, context.limits.lookups)


async def _connect_tcp(target: Target, services: Services) -> socket.socket:
    try:
        addresses = await services.once(resolver_of).addresses(target.address, target.port)
    except OSError as error:
        raise not_connected(target, [(target.address, error)]) from None
    failures: list[tuple[str, OSError]] = []
    deadline = services.context.loop.time() + services.context.limits.connect_seconds
    for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
        # One that never answers must leave time for the others.
        share = (deadline - services.context.loop.time()) / left
        try:
            if left == 1:
                return await _connect_address(address, services)
            with anyio.move_on_after(share):
                return await _connect_address(address, services)
            failures.append((str(address), OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))))
        except OSError as error:
            failures.append((str(address), error))
    raise not_connected(target, failures)


async def _connect_address(address: Address, services: Services) -> socket.socket:
    """Raises OSError."""
    sock = socket.socket(address.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        error = sock.connect_ex(address.sockaddr)
        if error == errno.EINPROGRESS:
            await _writable(sock, services)
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not error and sock.getsockname() == sock.getpeername():
            # Nobody listens there: the kernel chose the very port for our end, and connected us to ourselves.
            error = errno.ECONNREFUSED
        if error:
            raise OSError(error, os.strerror(error))
    except BaseException:
        sock.close()
        raise
    return sock


async def _writable(sock: socket.socket, services: Services) -> None:
    poller, writable = services.context.poller, anyio.Event()
    poller.watch_write(sock.fileno(), writable.set)
    try:
        await writable.wait()
    finally:
        poller.watch_write(sock.fileno(), None)
