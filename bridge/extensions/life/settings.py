"""What the user has decided about extensions: on or off, and what each may. One file, replaced as a whole."""

import os
from typing import Final

import msgspec

from ..host_log import HostLog
from .permissions import NOTHING, Permissions

_FILE: Final = "settings.json"


class Setting(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of one extension."""

    enabled: bool = True
    consent: Permissions = NOTHING
    version: str = ""
    """The version seen last."""


_NONE: Final = Setting()


class Settings:
    """By the names of extensions."""

    def __init__(self, directory: str, log: HostLog) -> None:
        self._path = os.path.join(directory, _FILE)
        self._values: dict[str, Setting] = {}
        try:
            with open(self._path, "rb") as file:
                self._values = msgspec.json.decode(file.read(), type=dict[str, Setting])
        except FileNotFoundError:
            return
        except (OSError, msgspec.MsgspecError) as error:
            log.error("settings", what=f"{self._path}: {error}")

    def __getitem__(self, name: str) -> Setting:
        return self._values.get(name, _NONE)

    def put(self, name: str, setting: Setting) -> None:
        """Raises OSError."""
        self._write({**self._values, name: setting})

    def forget(self, name: str) -> None:
        if name in self._values:
            self._write({each: setting for each, setting in self._values.items() if each != name})

    def _write(self, values: dict[str, Setting]) -> None:
        """They count once they are on disk."""
        new = f"{self._path}.new"
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(
            fd, "wb"
        ) as file:  # which writes all of it: a disk that is nearly full takes a part, and says so later
            file.write(msgspec.json.encode(values))
            file.flush()
            os.fsync(fd)
        os.replace(new, self._path)
        self._values = values
