"""`cockpit/cockpit.conf`, the front end's configuration, of which a session reads a few values.

An INI file: `[Section]`, `Key=value`, comments on lines of their own after `#` or `;`. Names of sections and keys are
compared without regard to case; a later value of the same key counts; nothing in a value is special. A line that is
none of these is left out, and costs nothing else: what the file restricts stays restricted.
"""

import os
import re
from collections.abc import Mapping
from typing import Final

from ...log import Log
from ..base import Services
from .limits import FILE_BYTES

_NAME: Final = "cockpit/cockpit.conf"
_BOM: Final = b"\xef\xbb\xbf"
_COMMENTS: Final = "#;"
_BEHIND: Final = re.compile(r"\s+[#;]")  # what is a comment to many, behind a number
_SHOWN: Final = 80  # characters of a line, in the log
_TOLD: Final = 20  # lines of one file that the log has something to say of


class CockpitConf:
    """What the file says; read when first asked for, and by `reload`. Absent, it says nothing."""

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
        digits = _BEHIND.split(text, maxsplit=1)[0]  # what was to restrict is not lost for a comment
        try:
            number = int(digits) if digits.isascii() and digits.isdigit() else None
        except ValueError:  # thousands of digits
            number = None
        if number is None:
            self._log.error("cockpit.conf", where=f"[{section}] {key}", found=text, expected="a whole number")
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
            log.error("cockpit.conf", file=path, why=error.strerror)
            return {}
        values, wrong = parse(data)
        for line, why in wrong[:_TOLD]:
            log.warning("cockpit.conf", file=path, line=line, why=why)
        if len(wrong) > _TOLD:
            log.warning("cockpit.conf", file=path, more=len(wrong) - _TOLD)
        return values
    return {}


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a FIFO by that name would wait for a writer


def parse(data: bytes) -> tuple[dict[tuple[str, str], str], list[tuple[int, str]]]:
    """(section, key) -> value, both in lower case; and the numbers of lines that are left out, with why."""
    wrong: list[tuple[int, str]] = []
    if len(data) > FILE_BYTES:
        data = data[: data.rfind(b"\n", 0, FILE_BYTES) + 1]
        wrong.append((data.count(b"\n") + 1, f"expected at most {FILE_BYTES} bytes in all, the rest is left out"))
    values: dict[tuple[str, str], str] = {}
    section = None
    for number, raw in enumerate(data.removeprefix(_BOM).split(b"\n"), 1):
        line = raw.decode(errors="backslashreplace").strip()
        if not line or line[0] in _COMMENTS:
            continue
        try:
            raw.decode()
        except UnicodeDecodeError as error:
            wrong.append((number, f"expected UTF-8, found byte {raw[error.start]:#04x}"))
            if line[0] == "[":  # a header all the same, as below
                section = line[1:].lower().partition("]")[0]
            continue
        if "\0" in line:
            wrong.append((number, "expected text, found a NUL"))
            continue
        if line[0] == "[":
            # What stands below it is not to count for the section above: a header is one, whatever is behind its name.
            section, closed, behind = line[1:].lower().partition("]")
            if not closed or behind.strip():
                wrong.append((number, f"expected [Section] and nothing else, found {line[:_SHOWN]}"))
            continue
        key, equals, value = line.partition("=")
        if not equals or not key.strip():
            wrong.append((number, f"expected Key=value, found {line[:_SHOWN]}"))
        elif section is None:
            wrong.append((number, f"expected a [Section] first, found {line[:_SHOWN]}"))
        else:
            values[section, key.strip().lower()] = value.strip()
    return values, wrong
