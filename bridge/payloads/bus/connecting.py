"""From an address to a connection that is authenticated, and a member of its bus."""

import os
import socket
from typing import Final

from spanbridge.protocol.problems import ACCESS_DENIED, INTERNAL_ERROR, NOT_FOUND, TIMEOUT, Problem

from ..base import Services
from ..connect.connect import connect as connect_socket
from ..connect.connect import in_time
from ..connect.target import Target
from .addresses import Address, parse
from .authentication import LINE_BYTES, Authentication
from .connection import Connection
from .errors import ACCESS_DENIED as REFUSED
from .errors import BusError

_TELLING: Final = (ACCESS_DENIED, TIMEOUT, INTERNAL_ERROR, NOT_FOUND)
"""Of the failures of several addresses, the first of these tells most: somebody is there."""


async def connect(address: str, services: Services, *, name: str, is_bus: bool) -> Connection:
    """Connected with the first address that works. Raises Problem: `not-found`, `access-denied`, `timeout`
    (`connect_seconds`) or `internal-error`; for what is no address as `parse` does.

    `name`: how messages for people name it. `is_bus`: it is one, and not a peer.
    """
    failures = []
    for each in parse(address, services.environ):
        try:
            return await _connect(each, services, name, is_bus)
        except Problem as problem:
            failures.append(problem)
    telling = min(failures, key=lambda problem: _TELLING.index(problem.code) if problem.code in _TELLING else 0)
    raise Problem(telling.code, f"{name}: {telling.message}")


async def _connect(address: Address, services: Services, name: str, is_bus: bool) -> Connection:
    path = address.socket.replace("\0", "@", 1)
    target = Target(unix=path)
    with in_time(target, services):
        sock = await connect_socket(Target(unix=address.socket), services)
        try:
            rest = await _authenticate(sock, address, services)
        except OSError as error:
            sock.close()
            raise Problem(ACCESS_DENIED, f"{path}: {error.strerror or error}") from None
        except Problem as problem:
            sock.close()
            raise Problem(problem.code, f"{path}: {problem.message}") from None
        except BaseException:
            sock.close()
            raise
        connection = Connection(services, sock, rest, name=name, is_bus=is_bus)
        if is_bus:
            try:
                await connection.hello()
            except BusError as error:
                connection.close()
                code = ACCESS_DENIED if error.name == REFUSED else INTERNAL_ERROR
                raise Problem(code, error.message) from None
            except BaseException:
                connection.close()
                raise
        return connection
    raise AssertionError("in_time has raised")


async def _authenticate(sock: socket.socket, address: Address, services: Services) -> bytes:
    """What has come of the messages already. Raises Problem, OSError."""
    loop = services.context.loop
    authentication = Authentication(os.geteuid(), address.guid)
    await loop.sock_sendall(sock, authentication.begin)
    while not authentication.over:
        data = await loop.sock_recv(sock, LINE_BYTES)
        if not data:
            raise Problem(ACCESS_DENIED, "it has closed the connection before we were let in")
        answer = authentication.feed(data)
        if answer:
            await loop.sock_sendall(sock, answer)
    return authentication.rest
