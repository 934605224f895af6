"""Where deliveries may go: public addresses, and those that the user has allowed."""

import asyncio
import contextlib
import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, Protocol
from urllib.parse import urlsplit

_PORTS: Final = {"http": 80, "https": 443}
_URL_CHARS: Final = 2_000
_LABEL_CHARS: Final = 63
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")

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
    if not all(0 < len(label) <= _LABEL_CHARS for label in parts.hostname.removesuffix(".").split(".")):
        raise Refused(f"the URL: {parts.hostname[:80]!r}: no name of a host")
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


class _Found(Protocol):
    """An address of a name; `str` of it is the text."""

    @property
    def family(self) -> int: ...


class Allowed(NamedTuple):
    """Where deliveries may go beside public addresses, and how the addresses of a name and a port are found."""

    networks: list[Network]
    look_up: Callable[[str, int], Awaitable[Sequence[_Found]]]
    """Raises OSError."""


async def resolved(target: Target, allowed: Allowed) -> list[tuple[int, str]]:
    """Addresses that may be connected to, each with its family, in the order to try them. Raises Refused, OSError.

    It waits while as many names as may be are looked up: whoever calls bounds the time.
    """
    host = target.host.lower().rstrip(".")
    # These mean this machine whether its resolver knows them or not (RFC 6761, 6.3).
    name = "127.0.0.1" if host == "localhost" or host.endswith(".localhost") else target.host
    found = await allowed.look_up(name, target.port)
    addresses = list(dict.fromkeys([(address.family, str(address)) for address in found]))
    good = [(family, text) for family, text in addresses if is_allowed(ipaddress.ip_address(text), allowed.networks)]
    if not good:
        told = ", ".join(text for _, text in addresses)
        host = target.host if told == target.host else f"{target.host} is {told}"
        raise Refused(f"{host}: no public address, nor in extension_delivery_allow")
    return good


async def known_or_refused(target: Target, allowed: Allowed, seconds: float) -> None:
    """Nothing for a name that is not known, or not within `seconds`: it may be so when it is needed. Raises Refused."""
    with contextlib.suppress(OSError):  # TimeoutError, too
        async with asyncio.timeout(seconds):
            await resolved(target, allowed)
