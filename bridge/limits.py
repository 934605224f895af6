"""Every limit of the bridge, in one place: its default, its unit, and how it is set.

A limit is set with ``--set name=value`` or the environment variable ``SPANBRIDGE_NAME``; the first wins.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of one bridge process. Names that end in `_bytes` are bytes, those in `_seconds` seconds."""

    frame_bytes: int = 99_999_999
    control_bytes: int = 4 << 20
    channel_id_bytes: int = 8_192
    channels: int = 100_000
    read_bytes: int = 256 << 10
    pipe_bytes: int = 1 << 20
    large_pipes: int = 16
    helper_queue_bytes: int = 16 << 20
    front_queue_bytes: int = 16 << 20
    stuck_seconds: float = 30.0
    stall_seconds: float = 30.0
    handshake_seconds: float = 30.0
    close_answer_seconds: float = 2.0
    refusal_bytes: int = 16 << 10
    closed_ids: int = 16_384
    exit_seconds: float = 2.0
    term_seconds: float = 2.0
    last_words_seconds: float = 2.0
    helpers_per_rule: int = 64
    helpers: int = 256
    start_failures: int = 3
    start_failures_seconds: float = 10.0
    backoff_seconds: float = 1.0
    backoff_most_seconds: float = 30.0
    stderr_line_bytes: int = 2_048
    manifest_bytes: int = 1 << 20
    max_depth: int = 8
    stderr_seconds: float = 2.0
    sudo_seconds: float = 1.0
    status_seconds: float = 2.0
    bus_backlog_bytes: int = 8 << 20
    bus_calls: int = 256
    bus_watches: int = 1_024
    bus_described: int = 1_024
    package_answers: int = 32
    package_files: int = 100_000
    watched_directories: int = 2_048


DESCRIPTIONS: Final[Mapping[str, str]] = {
    "frame_bytes": "longest frame taken from anyone",
    "control_bytes": "longest control message",
    "channel_id_bytes": "longest channel id",
    "channels": "channels open at once",
    "read_bytes": "most bytes read from one stream before the others have their turn",
    "pipe_bytes": "size that a busy pipe is enlarged to",
    "large_pipes": "pipes enlarged at once",
    "helper_queue_bytes": "bytes waiting for one helper before the front end is read no more",
    "front_queue_bytes": "bytes of our own answers waiting for the front end before it is read no more",
    "stuck_seconds": "how long a helper with a full queue may take nothing",
    "stall_seconds": "how long a helper may leave a frame unfinished and say nothing more",
    "handshake_seconds": "how long a helper may take to send its init",
    "close_answer_seconds": "how long an open waits for the helper's answer to the close of the same id",
    "refusal_bytes": "longest init with a problem that is passed on whole to the opens that wait",
    "closed_ids": "closed channels remembered for each helper that has not answered the close",
    "exit_seconds": "how long a helper may take to exit once its stdin is closed",
    "term_seconds": "how long it may take after SIGTERM, before SIGKILL",
    "last_words_seconds": "how long a helper that closed its stdout, or stdin, may take to exit before it is ended",
    "helpers_per_rule": "helper processes of one rule",
    "helpers": "helper processes in all",
    "start_failures": "failed starts of a rule, within start_failures_seconds, before it rests",
    "start_failures_seconds": "the time in which start_failures are counted",
    "backoff_seconds": "how long such a rule rests at first; doubled each time",
    "backoff_most_seconds": "how long it rests at most",
    "stderr_line_bytes": "how much of a helper's line of stderr is logged",
    "manifest_bytes": "largest manifest or override file read",
    "max_depth": "bridges that may start one another in a chain",
    "sudo_seconds": "how long `sudo --help` may take, which tells whether it can ask through a program",
    "bus_backlog_bytes": "messages of one channel of the internal bus that wait for the front end to take answers",
    "bus_calls": "calls of one channel of the internal bus that are not answered yet",
    "bus_watches": "watches of one channel of the internal bus, and separately its matches",
    "bus_described": "interfaces that the front end may describe on one channel of the internal bus",
    "package_answers": "answers with package files in the making at once; each holds one file open",
    "package_files": "files of one package that are listed; one with more has no part in a checksum",
    "watched_directories": "directories watched for changes; a user may have some 8000 watches in all",
    "status_seconds": "how long `spanbridge status` may take to read what it is told",
    "stderr_seconds": "how long a privileged bridge waits for the stderr that it has asked for",
}

VARIABLE_PREFIX: Final = "SPANBRIDGE_"


class SettingError(ValueError):
    """A setting that names no limit, or a value that does not fit."""


def read_limits(settings: Iterable[str], environ: Mapping[str, str]) -> Limits:
    """Limits from `name=value` settings, then from the environment, then the defaults.

    Raises SettingError that says which setting, what it is, and what was expected.
    """
    values: dict[str, Any] = {}
    for name in Limits.__struct_fields__:
        variable = VARIABLE_PREFIX + name.upper()
        if variable in environ:
            values[name] = _value(variable, name, environ[variable])
    for setting in settings:
        name, equals, text = setting.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in DESCRIPTIONS:
            known = ", ".join(Limits.__struct_fields__)
            raise SettingError(f"--set {setting}: expected name=value with a name of {known}")
        values[name] = _value(f"--set {name}", name, text)
    return Limits(**values)


def _value(where: str, name: str, text: str) -> float:
    kind: type[float] = Limits.__annotations__[name]
    try:
        value = kind(text)
    except ValueError:
        value = -1
    if not 0 < value < float("inf"):
        raise SettingError(f"{where}={text}: expected {'a whole number' if kind is int else 'a number'} above 0")
    return value


def explain() -> str:
    """One line a limit, for --help."""
    defaults = Limits()
    rows = [(f"{name}={getattr(defaults, name)}", text) for name, text in DESCRIPTIONS.items()]
    width = max(len(left) for left, _ in rows)
    return "\n".join(f"  {left:<{width}}  {text}" for left, text in rows)
