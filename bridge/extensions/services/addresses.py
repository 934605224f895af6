"""Where deliveries may go: public addresses, and those that the user has allowed."""

import asyncio
import contextlib
import errno
import ipaddress
import socket
import threading
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

_PORTS: Final = {"http": 80, "https": 443}
_URL_CHARS: Final = 2_000
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")

_MOST_AT_ONCE: Final = 64
_places: Final = threading.BoundedSemaphore(_MOST_AT_ONCE)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Refused(Exception):
    """Nothing is delivered there; the text says why."""


class Target(NamedTuple):
    """A URL, taken apart."""

    secure: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """As the Host header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.secure else "http"] else f"{host}:{self.port}"


def target_of(url: str) -> Target:
    """Raises Refused."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Refused(f"the URL: {error}") from None
    if len(url) > _URL_CHARS or not all("!" <= char <= "~" for char in url):
        raise Refused(f"the URL: expected visible ASCII, at most {_URL_CHARS} characters")
    if parts.scheme not in _PORTS or not parts.hostname:
        raise Refused("the URL: expected http:// or https:// and a host")
    if parts.username is not None or parts.password is not None:
        raise Refused("the URL: a user and a password have no place in it")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme == "https", parts.hostname, port or _PORTS[parts.scheme], path)


def networks(text: str) -> list[Network]:
    """Of a list with commas. Raises ValueError."""
    return [ipaddress.ip_network(part, strict=False) for part in text.split(",") if part]


def is_allowed(address: Address, allowed: list[Network]) -> bool:
    """Whether it is a public one, or in one of the networks."""
    if any(address in network for network in allowed):
        return True
    if isinstance(address, ipaddress.IPv6Address) and (
        address.ipv4_mapped or address.sixtofour or address.teredo or address in _NAT64 or address.scope_id
    ):
        return False
    return address.is_global and not address.is_multicast


async def resolved(target: Target, allowed: list[Network]) -> list[tuple[int, str]]:
    """Addresses that may be connected to, each with its family, in the order to try them. Raises Refused, OSError."""
    host = target.host.lower().rstrip(".")
    # These mean this machine whether its resolver knows them or not (RFC 6761, 6.3).
    name = "127.0.0.1" if host == "localhost" or host.endswith(".localhost") else target.host
    try:
        found = await _looked_up(name, target.port)
    except UnicodeError:  # a part of it is empty, or too long
        raise Refused(f"{target.host[:80]!r}: no name of a host") from None
    addresses = list(dict.fromkeys([(int(family), str(address[0])) for family, _, _, _, address in found]))
    good = [(family, text) for family, text in addresses if is_allowed(ipaddress.ip_address(text), allowed)]
    if not good:
        told = ", ".join(text for _, text in addresses)
        host = target.host if told == target.host else f"{target.host} is {told}"
        raise Refused(f"{host}: no public address, nor in extension_delivery_allow")
    return good


async def _looked_up(name: str, port: int) -> list[tuple[Any, ...]]:
    """What getaddrinfo gives. Raises OSError, UnicodeError.

    Nothing interrupts a resolver whose server is silent: a thread of the pool would be missing to all others, who read
    files or start extensions, and would hold up the end of the host.
    """
    if not _places.acquire(blocking=False):
        raise OSError(errno.EAGAIN, f"{_MOST_AT_ONCE} names are looked up already")
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[tuple[Any, ...]]] = loop.create_future()

    def settle(outcome: list[tuple[Any, ...]] | Exception) -> None:
        if found.done():  # nobody waits any more
            return
        if isinstance(outcome, Exception):
            found.set_exception(outcome)
        else:
            found.set_result(outcome)

    def work() -> None:
        outcome: list[tuple[Any, ...]] | Exception
        try:
            outcome = list(socket.getaddrinfo(name, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            outcome = error
        _places.release()
        with contextlib.suppress(RuntimeError):  # the host has ended
            loop.call_soon_threadsafe(settle, outcome)

    try:
        threading.Thread(target=work, name="look-up", daemon=True).start()
    except RuntimeError as error:
        _places.release()
        raise OSError(errno.EAGAIN, str(error)) from None
    return await found
