"""The group and the host of each channel, by which the front end may end many at once (`kill`)."""

from typing import Any, Final, TypeAlias

About: TypeAlias = tuple[str | None, str | None]  # group and host; None: of this host

DEFAULT: Final = "default"
"""The group of a channel that was opened without one."""

_ABOUTS_KEPT: Final = 256


class Groups:
    """Group and host of the channels that are open."""

    __slots__ = ("_of", "_shared")

    def __init__(self) -> None:
        self._of: dict[bytes, About] = {}
        self._shared: dict[About, About] = {}  # channels that have both in common share one tuple

    def add(self, ident: bytes, message: dict[str, Any]) -> None:
        """A channel has been opened with a normalised open."""
        about = about_of(message)
        if len(self._shared) > _ABOUTS_KEPT:
            self._shared.clear()
        self._of[ident] = self._shared.setdefault(about, about)

    def add_like(self, ident: bytes, about: About) -> None:
        """The same, for an open of which this is known."""
        self._of[ident] = about

    def discard(self, ident: bytes) -> None:
        """It is over."""
        self._of.pop(ident, None)

    def matching(self, group: str | None, host: str | None, own_host: str | None) -> list[bytes]:
        """The channels of a group, of a host, or of both together; None: of any. `own_host` is what the front end calls
        this host."""
        wanted = None if host == own_host else host
        return [
            ident
            for ident, (of_group, of_host) in self._of.items()
            if group in (None, of_group) and (host is None or of_host == wanted)
        ]


def about_of(message: dict[str, Any]) -> About:
    """Group and host of a normalised open."""
    group = message.get("group")
    return (group if isinstance(group, str) else DEFAULT, message.get("host"))
