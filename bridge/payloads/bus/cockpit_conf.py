"""`cockpit/cockpit.conf`, the front end's configuration, of which a session reads a few values.

An INI file as GLib has it: `[Section]`, `Key=value`, lines of `#`. Names of sections and keys are compared without
regard to case; a later value of the same key counts; nothing in a value is special. One line that is none of these
makes the whole file malformed.
"""

import os
from collections.abc import Mapping
from configparser import ConfigParser
from configparser import Error as ParserError
from typing import Final

from ...log import Log
from ..base import Services
from .limits import FILE_BYTES

_NAME: Final = "cockpit/cockpit.conf"


class CockpitConf:
    """What the file says; read when first asked for, and by `reload`. Absent or malformed, it says nothing."""

    def __init__(self, services: Services) -> None:
        self._directories = config_directories(services.environ)
        self._log = services.context.log
        self._values: Mapping[tuple[str, str], str] | None = None

    def get(self, section: str, key: str) -> str | None:
        if self._values is None:
            self._values = _read(self._directories, self._log)
        return self._values.get((section.lower(), key.lower()))

    def number(self, section: str, key: str, default: int, most: int, least: int) -> int:
        """A whole number, the nearest within bounds; `default` where there is none."""
        text = self.get(section, key)
        if text is None:
            return default
        try:
            number = int(text) if text.isascii() and text.isdigit() else None
        except ValueError:  # thousands of digits
            number = None
        if number is None:
            self._log.warning("cockpit.conf", where=f"[{section}] {key}", found=text, expected="a whole number")
            return default
        return min(max(number, least), most)

    def reload(self) -> None:
        """Read the file anew when it is next asked."""
        self._values = None


def config_directories(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The system's configuration directories, the most important first (XDG Base Directory Specification)."""
    paths = [path.rstrip("/") or "/" for path in environ.get("XDG_CONFIG_DIRS", "").split(":") if path.startswith("/")]
    return tuple(dict.fromkeys(paths)) or ("/etc",)


def _read(directories: tuple[str, ...], log: Log) -> dict[tuple[str, str], str]:
    for directory in directories:
        path = f"{directory}/{_NAME}"
        try:
            with open(path, "rb", opener=_without_waiting) as file:
                data = file.read(FILE_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            log.warning("cockpit.conf", file=path, why=error.strerror)
            return {}
        try:
            return parse(data)
        except ValueError as error:
            log.warning("cockpit.conf", file=path, why=str(error))
            return {}
    return {}


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a FIFO by that name would wait for a writer


def parse(data: bytes) -> dict[tuple[str, str], str]:
    """(section, key) -> value, both in lower case. Raises ValueError, which says what is wrong and where."""
    if len(data) > FILE_BYTES:
        raise ValueError(f"expected at most {FILE_BYTES} bytes, found more")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"expected UTF-8, found byte {data[error.start]:#04x} at {error.start}") from None
    parser = ConfigParser(
        default_section="\0",  # none has that name: [DEFAULT] is a section like others
        delimiters=("=",),
        comment_prefixes=("#",),
        interpolation=None,
        strict=False,
    )
    try:
        parser.read_string("\n".join(map(_line, text.split("\n"))), "cockpit.conf")
    except ParserError as error:
        raise ValueError(" ".join(str(error).split())) from None
    return {(section, key): value for section in parser.sections() for key, value in parser.items(section)}


def _line(line: str) -> str:
    line = line.strip()  # to the parser an indented line would go on with the one above
    return line.lower() if line.startswith("[") and line.endswith("]") else line
