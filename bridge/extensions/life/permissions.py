"""What an extension asks for, and what it was granted."""

import os
from typing import Final

import msgspec


class Permissions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an extension asks for beyond its own directory."""

    network: bool | tuple[int, ...] = False
    """True, or the TCP ports that it may connect to."""
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    run: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.network, bool) and not all(0 < port < 65_536 for port in self.network):
            raise ValueError("network: expected true, or a list of ports from 1 to 65535")
        for path in (*self.read, *self.write):
            if not os.path.isabs(path) or "\0" in path:
                raise ValueError(f"{path!r}: expected an absolute path")

    def within(self, granted: "Permissions") -> bool:
        """Whether all of this was granted."""
        if not (self.network or self.read or self.write or self.run):  # as of most, at each request
            return True
        if self.network is True:
            ports = granted.network is True
        elif self.network is False:
            ports = True
        else:
            ports = granted.network is True or (
                granted.network is not False and set(self.network) <= set(granted.network)
            )
        return (
            ports
            and set(self.read) <= set(granted.read)
            and set(self.write) <= set(granted.write)
            and (granted.run or not self.run)
        )

    def same(self, other: "Permissions") -> bool:
        return self.within(other) and other.within(self)


NOTHING: Final = Permissions()
