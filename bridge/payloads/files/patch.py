"""Merge patches for the value of an `fsinfo` channel, in messages that are not too long."""

from typing import Any, Final

from .json_text import json_bytes

MESSAGE_BYTES: Final = 64 << 10
_OTHERS: Final = 64  # bytes around the members: names, braces

ENTRIES: Final = b'"entries"'
TARGETS: Final = b'"targets"'


class Patch:
    """Collects what is to be told; `take` gives it as one message. More than one message is told as partial.

    `told`: whether there was an `info` before.
    """

    __slots__ = ("_begun", "_error", "_info", "_maps", "_no_info", "_size", "_told")

    def __init__(self, *, told: bool) -> None:
        self._told = told
        self._info: dict[str, Any] | None = None  # None: not spoken of
        self._error: dict[str, Any] | bool | None = False  # False: not spoken of
        self._no_info = False  # whether `info` is told to be gone
        self._maps: dict[bytes, list[bytes]] = {}
        self._size = _OTHERS
        self._begun = False  # whether a part was taken already

    def set_info(self, members: dict[str, Any]) -> None:
        """Members of `info`; None: no more."""
        self._info = {**(self._info or {}), **members}
        self._size += len(json_bytes(members))

    def no_info(self) -> None:
        """There is no `info` any more."""
        self._info = None
        self._maps.clear()
        self._no_info = self._told or self._begun

    def set_error(self, error: dict[str, Any] | None) -> None:
        self._error = error

    def open_map(self, where: bytes) -> None:
        """There is such a map in `info`, be it empty."""
        self._maps.setdefault(where, [])

    def member(self, where: bytes, name: str, value: Any) -> bytes | None:
        """A member of a map. If it has no room any more, what was collected before it: a message."""
        piece = json_bytes({name: value})[1:-1]
        message = self._part() if self._size + len(piece) > MESSAGE_BYTES else None
        self._maps.setdefault(where, []).append(piece)
        self._size += len(piece) + 1
        return message

    def _part(self) -> bytes:
        message = self._message(b'"partial":true' if not self._begun else b"")
        self._begun = True
        self._info, self._error, self._maps, self._size = None, False, {}, _OTHERS
        return message

    def take(self) -> bytes | None:
        """All that is left; None if nothing was to be told at all."""
        message = self._message(b'"partial":null' if self._begun else b"")
        return None if message == b"{}" else message

    def _message(self, mark: bytes) -> bytes:
        parts = [mark] if mark else []
        if self._error is not False:
            parts.append(b'"error":' + json_bytes(self._error))
        if self._no_info:
            parts.append(b'"info":null')
        elif self._info is not None or self._maps:
            info = [json_bytes(self._info)[1:-1]] if self._info else []
            info += [where + b":{" + b",".join(members) + b"}" for where, members in self._maps.items()]
            parts.append(b'"info":{' + b",".join(info) + b"}")
        return b"{" + b",".join(parts) + b"}"
