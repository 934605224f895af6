"""What the user has decided about extensions: on or off, and what each may. One file, replaced as a whole.

Where that cannot be read, nothing runs of which it is not known whether it may: it is disabled until the user decides
anew, and what stood in the file is kept beside it.
"""

import contextlib
import os
from typing import Any, Final

import msgspec

from spanbridge.manifests.raw import DefectError, read_bytes

from ..files import open_own, too_large
from ..host_log import HostLog
from .permissions import NOTHING, Permissions

_FILE: Final = "settings.json"
_ASIDE: Final = f"{_FILE}.damaged"
_OTHERS: Final = "*"  # no name of an extension
_NEW: Final = os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK
_BYTES: Final = 64 << 20
_EXPECTED: Final = 'expected an object such as {"NAME": {"enabled": false}}'
_ANEW: Final = "it is disabled until it is enabled anew"


class Setting(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of one extension."""

    enabled: bool = True
    consent: Permissions = NOTHING
    version: str = ""
    """The version seen last."""


_NONE: Final = Setting()
_UNKNOWN: Final = Setting(enabled=False)


class Settings:
    """By the names of extensions."""

    def __init__(self, directory: str, log: HostLog) -> None:
        self._path = os.path.join(directory, _FILE)
        self._aside = os.path.join(directory, _ASIDE)
        self._log = log
        self._values: dict[str, Setting] = {}
        self._broken: dict[str, Any] = {}
        """What stands there for a name, and is no setting: it stays until the user decides."""
        self._problems: dict[str, str] = {}
        """What is wrong with that; under `*`, why nothing is known of those that are not there."""
        self._damaged = False
        self._read()

    def __getitem__(self, name: str) -> Setting:
        known = self._values.get(name)
        if known is None:
            known = _UNKNOWN if self.problem(name) else _NONE
        return known

    def problem(self, name: str) -> str:
        """Why it is not known what was decided; empty: it is, or nothing was."""
        if not self._problems or name in self._values:
            return ""
        return self._problems.get(name) or self._problems.get(_OTHERS, "")

    def put(self, name: str, setting: Setting) -> None:
        """Raises OSError."""
        if os.path.isdir(self._path) and not os.path.islink(self._path):
            raise OSError(f"{self._path}: found a directory, expected a file: move it away")
        if self._damaged:
            self._keep_damaged()
        broken = {each: value for each, value in self._broken.items() if each != name}
        self._write({**self._values, name: setting}, broken)
        self._problems.pop(name, None)
        self._damaged = False

    # Reading

    def _read(self) -> None:
        try:
            members = self._members()
        except FileNotFoundError:
            return
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            self._is_damaged(_OTHERS, f"{self._path}: {error}")
            return
        except (DefectError, OSError) as error:
            self._is_damaged(_OTHERS, str(error))
            return
        for name, value in members.items():
            try:
                setting = msgspec.convert(value, Setting)
            except msgspec.ValidationError as error:
                self._broken[name] = value
                self._is_damaged(name, f"{self._path}: {name}: {error}")
                continue
            if name != _OTHERS:
                self._values[name] = setting
            elif not setting.enabled:
                self._problems[_OTHERS] = f'{self._path}: there is nothing of it, and "*" stands for all such; {_ANEW}'

    def _members(self) -> dict[str, Any]:
        """Raises DefectError, OSError, and what msgspec raises."""
        if why := too_large(self._path, _BYTES):
            raise OSError(why)
        return msgspec.json.decode(read_bytes(self._path, _BYTES), type=dict[str, Any])

    def _is_damaged(self, name: str, why: str) -> None:
        self._damaged = True
        why = f"{why}; {_EXPECTED}"
        self._problems[name] = f"{why}; {_ANEW}"
        self._log.error("settings", what=why)

    # Writing

    def _keep_damaged(self) -> None:
        """What was agreed to is in there for whoever can read it."""
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._aside)
            os.link(self._path, self._aside, follow_symlinks=False)
        except FileNotFoundError:  # somebody has moved it away
            return
        except OSError as error:
            self._log.error("settings-not-kept", what=str(error))

    def _write(self, values: dict[str, Setting], broken: dict[str, Any]) -> None:
        """They count once they are on disk."""
        written: dict[str, Any] = {**broken, **values}
        if _OTHERS in self._problems:
            written[_OTHERS] = _UNKNOWN
        new = f"{self._path}.new"
        fd = open_own(new, _NEW)
        # Which writes all of it: a disk that is nearly full takes a part, and says so later.
        with open(fd, "wb") as file:
            file.write(msgspec.json.encode(written))
            file.flush()
            os.fsync(fd)
        os.replace(new, self._path)
        self._values, self._broken = values, broken
