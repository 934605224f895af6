"""The log: one line an event, key=value, on stderr. Never a payload, never a password."""

import os
from collections.abc import Callable
from typing import Final

PARTS: Final = ("front", "open", "helper", "superuser", "dbus", "bugs")

_STDERR: Final = 2
_LINE_BYTES: Final = 4_000  # below PIPE_BUF, so that a pipe with room for anything has room for a line
# How systemd marks the level of a line on stderr (sd-daemon(3)).
_PRIORITIES: Final = {"debug": "<7>", "info": "<6>", "warning": "<4>", "error": "<3>"}


class Log:
    """Writes lines to stderr and never waits for it: while its reader is stuck, lines are counted and left out.

    `debug` names the parts whose debug lines are written; "all" means every part. `journal` is whether stderr
    leads to the systemd journal. `sink` gets level, event and fields of each line instead.
    """

    __slots__ = ("_debug", "_dropped", "_prefix", "_room", "_sink", "limits_hit")

    def __init__(
        self,
        *,
        debug: frozenset[str] = frozenset(),
        journal: bool = False,
        sink: Callable[[str, str, dict[str, object]], None] | None = None,
    ) -> None:
        self._debug = debug
        self._dropped = 0
        self._prefix = journal
        self.limits_hit: dict[str, int] = {}  # by name, how often
        self._room: Callable[[], bool] | None = None  # whether stderr has room for a line; made for the first
        self._sink = sink

    def debugging(self, part: str) -> bool:
        """Whether `debug` lines of this part are written; for callers to whom making one costs."""
        return part in self._debug or "all" in self._debug

    def debug(self, part: str, event: str, **fields: object) -> None:
        if self.debugging(part):
            self._write("debug", event, {"part": part, **fields})

    def info(self, event: str, **fields: object) -> None:
        self._write("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        self._write("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        self._write("error", event, fields)

    def unforeseen(self, where: str, error: BaseException) -> None:
        """A mistake of ours: one line, and the traceback for those who debug the part "bugs"."""
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        self.error("unforeseen", where=where, what=f"{type(error).__name__}: {error}")
        if self.debugging("bugs"):
            import traceback

            self.debug("bugs", "traceback", text="".join(traceback.format_exception(error)))

    def limit(self, name: str, value: float, /, **fields: object) -> None:
        """A limit was hit, and was heeded."""
        self.limits_hit[name] = self.limits_hit.get(name, 0) + 1
        self.warning("limit", name=name, value=value, setting=f"SPANBRIDGE_{name.upper()}", **fields)

    def _write(self, level: str, event: str, fields: dict[str, object]) -> None:
        if self._sink is not None:
            self._sink(level, event, fields)
            return
        if self._room is None:
            self._room = _room_on(_STDERR)
        if not self._room():
            self._dropped += 1
            return
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            self._write("warning", "log-lines-left-out", {"count": dropped})
        prefix = _PRIORITIES[level] if self._prefix else ""
        told = "".join(f" {key}={_shown(value)}" for key, value in fields.items())
        line = f"{prefix}spanbridge[{os.getpid()}] {level}: {event}{told}"
        try:
            os.write(_STDERR, line.encode("utf-8", "backslashreplace")[:_LINE_BYTES] + b"\n")
        except OSError:
            self._dropped += 1


def _room_on(fd: int) -> Callable[[], bool]:
    import select  # a session's `init` mostly comes before its first line

    poll = select.poll()
    poll.register(fd, select.POLLOUT)

    def room() -> bool:
        return any(events & select.POLLOUT for _, events in poll.poll(0))

    return room


def _shown(value: object) -> str:
    text = str(value)
    if text and text.isprintable() and not any(char in ' "=\\' for char in text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(char if char.isprintable() else repr(char)[1:-1] for char in escaped) + '"'


def journal_on_stderr(environ: "os._Environ[str] | dict[str, str]") -> bool:
    """Whether stderr is the stream that `JOURNAL_STREAM` names as device:inode (systemd.exec(5))."""
    stream = environ.get("JOURNAL_STREAM")
    if not stream:
        return False
    try:
        found = os.fstat(_STDERR)
    except OSError:
        return False
    return stream == f"{found.st_dev}:{found.st_ino}"
