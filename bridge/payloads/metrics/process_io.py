"""`disk.cgroup.*`: /proc/PID/io of all processes that let us, added up by control group."""

from typing import Final

from .reader import Reader
from .values import Sample, Value, whole

_FIELDS: Final = {"read_bytes": "disk.cgroup.read", "write_bytes": "disk.cgroup.written"}


def parse_io(text: str) -> tuple[int, int]:
    """Bytes read and written. Raises ValueError."""
    fields = dict(line.split(": ", 1) for line in text.splitlines())
    try:
        read, written = (whole(fields[name]) for name in _FIELDS)
    except KeyError as error:
        raise ValueError(f"expected a line {error.args[0]}, found none") from None
    return read, written


def parse_group(text: str) -> str:
    """The group that a process is in, "" for the root. Raises ValueError.

    Version 2 has one line; of version 1 the line of systemd counts, or else the first one.
    """
    lines = [line.split(":", 2) for line in text.splitlines()]
    if not lines or not all(len(line) == 3 for line in lines):
        raise ValueError(f'expected lines "number:controllers:path", found {text[:80]!r}')
    of_systemd = [path for _, controllers, path in lines if controllers == "name=systemd"]
    path = of_systemd[0] if of_systemd else lines[0][2]
    return path.strip("/")


class ProcessIo:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def sample(self, names: frozenset[str]) -> Sample:
        read: dict[str, Value] = {}
        written: dict[str, Value] = {}
        for pid in self._reader.names("/proc"):
            if not pid.isdecimal():
                continue
            try:
                # First what is not for everybody to read.
                both = parse_io(self._reader.text(f"/proc/{pid}/io"))
                group = parse_group(self._reader.text(f"/proc/{pid}/cgroup"))
            except OSError:  # it has gone, or is another user's
                continue
            except ValueError as error:
                self._reader.failures["/proc/PID"] = str(error)
                continue
            if group:
                read[group] = read.get(group, 0) + both[0]
                written[group] = written.get(group, 0) + both[1]
        return {"disk.cgroup.read": read, "disk.cgroup.written": written}
