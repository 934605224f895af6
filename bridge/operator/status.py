"""`spanbridge status`: what the running bridges of this user do (bridge/session/status_socket.py)."""

import argparse
import contextlib
import math
import os
import re
import shlex
import shutil
import socket
import stat
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from ..session.status_directory import NotOurs, beside, directory_of, open_directory
from .printable import printable
from .terminal import Paint

_ANSWER_SECONDS: Final = 2.0
_INTERVAL_SECONDS: Final = 2.0
PATIENT_SECONDS: Final = 3.0
"""An open that its helper has not answered for so long is told of."""

_ANSWER_BYTES: Final = 64 << 20
_CLEAR: Final = "\33[H\33[2J"
_HEADER: Final = ("HELPER", "PID", "STATE", "AGE", "CHANNELS", "FROM IT", "TO IT", "QUEUED")

Status = dict[str, Any]


class Unavailable(Exception):
    """There is no telling what the bridges do; the text says why."""


def main(arguments: list[str]) -> int:
    """0: told, 1: no bridge runs, 2: it cannot be told."""
    parser = argparse.ArgumentParser(
        prog="spanbridge status",
        description="What the running bridges of this user do: helpers, channels, queues, limits that were hit.",
        epilog="Exit status: 0 told, 1 no bridge runs, 2 it could not be told.",
    )
    parser.add_argument("pid", nargs="*", type=int, help="only these bridges")
    parser.add_argument("--json", action="store_true", help="one JSON list")
    parser.add_argument("--watch", action="store_true", help="again and again, until interrupted")
    parser.add_argument(
        "--interval",
        type=_seconds,
        metavar="SECONDS",
        help=f"with --watch: how long to wait in between (default {_INTERVAL_SECONDS:g})",
    )
    given = parser.parse_args(arguments)
    if given.interval is not None and not given.watch:
        parser.error("--interval: expected --watch too")
    try:
        with contextlib.suppress(KeyboardInterrupt):
            return _watch(given) if given.watch else _once(given, None, 0.0)[0]
    except Unavailable as error:
        print(f"spanbridge status: {error}", file=sys.stderr)
        return 2
    return 0


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.1 <= value <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number of seconds, 0.1 to 86400")
    return value


def _watch(given: argparse.Namespace) -> int:
    before: dict[int, Status] | None = None
    paced = 0.0
    while True:
        if sys.stdout.isatty() and not given.json:
            print(_CLEAR, end="")
        began = time.monotonic()
        _, before = _once(given, before, paced)
        sys.stdout.flush()
        time.sleep(_INTERVAL_SECONDS if given.interval is None else given.interval)
        paced = time.monotonic() - began


def _once(
    given: argparse.Namespace, before: Mapping[int, Status] | None, seconds: float
) -> tuple[int, dict[int, Status]]:
    found = statuses(os.environ, given.pid)
    if given.json:
        print(msgspec.json.encode(found).decode())
    elif not found:
        print("No bridge of this user runs." if not given.pid else "No such bridge runs.")
    else:
        paint = Paint(sys.stdout)
        width = shutil.get_terminal_size((120, 24)).columns if sys.stdout.isatty() else None
        for status in found:
            earlier = before.get(status["pid"]) if before else None
            for line in lines(status, paint, earlier, seconds):
                print(line if width is None else _cut(line, width))
    return (0 if found else 1), {status["pid"]: status for status in found}


def _cut(line: str, width: int) -> str:
    """As much of it as fits; its colours take no room."""
    kept, left = [], width
    for piece in re.split(r"(\x1b\[\d+m)", line):
        if piece.startswith("\33"):
            kept.append(piece)
        else:
            kept.append(piece[:left])
            left = max(0, left - len(piece))
    return "".join(kept)


def statuses(environ: Mapping[str, str], pids: list[int]) -> list[Status]:
    """What the running bridges tell, the oldest first; all of them, or those of `pids`. Raises Unavailable.

    The sockets of bridges that were killed are removed.
    """
    path = directory_of(environ)
    if path is None:
        raise Unavailable(
            "XDG_RUNTIME_DIR is not set: expected the directory in which bridges have their sockets, which for a login"
            f" is /run/user/{os.getuid()}"
        )
    try:
        directory = open_directory(path, make=False)
    except FileNotFoundError:
        return []
    except NotOurs as error:
        raise Unavailable(f"{error.filename}: {error.strerror}: whose bridges are there is not for us to ask") from None
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}") from None
    try:
        names = [name for name in os.listdir(beside(directory, "")) if _is_wanted(name, pids)]
        told = [_ask(directory, path, name) for name in names]
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}") from None
    finally:
        os.close(directory)
    return sorted((status for status in told if status is not None), key=lambda status: -status["seconds"])


def _is_wanted(name: str, pids: list[int]) -> bool:
    number, _, rest = name.partition("-")
    return rest.endswith(".sock") and number.isdecimal() and (not pids or int(number) in pids)


def _ask(directory: int, path: str, name: str) -> Status | None:
    """What the bridge behind the socket of that name tells, None if it tells nothing. `path`: of the directory."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(_ANSWER_SECONDS)
        try:
            asking.connect(beside(directory, name))
            pieces, size = [], 0
            while (piece := asking.recv(1 << 16)) and size < _ANSWER_BYTES:
                pieces.append(piece)
                size += len(piece)
            status: Status = msgspec.json.decode(b"".join(pieces), type=dict[str, Any])
        except ConnectionRefusedError:  # nobody listens there any more, or it is no socket
            with contextlib.suppress(OSError):
                if stat.S_ISSOCK(os.lstat(name, dir_fd=directory).st_mode):
                    os.unlink(name, dir_fd=directory)
            return None
        except FileNotFoundError:  # it has ended just now
            return None
        except (OSError, msgspec.MsgspecError, RecursionError) as error:
            print(f"spanbridge status: {path}/{name}: {error}", file=sys.stderr)
            return None
    try:
        lines(status, lambda style, text: text)
    except (AttributeError, LookupError, TypeError, ValueError, ZeroDivisionError):
        why = "what it tells is not what bridges of this version tell"
        print(f"spanbridge status: {path}/{name}: {why}", file=sys.stderr)
        return None
    return status


def lines(
    status: Status, paint: Callable[[str, str], str], earlier: Status | None = None, seconds: float = 0.0
) -> list[str]:
    """One bridge as text. `earlier`: what it told so many `seconds` before, for rates."""
    channels, front = status["channels"], status["front-end"]
    moved = _moved(front, earlier["front-end"] if earlier else None, seconds)
    told = [
        paint("bold", f"bridge {status['pid']}") + f", up {_age(status['seconds'])}, {_host(status['host'])}",
        f"  channels: {channels['open']} open, {channels['waiting']} waiting for a helper"
        + "".join(f", {count} {name}" for name, count in sorted(channels["internal"].items())),
        f"  front end: {moved}, {_size(front['queued'])} wait"
        + ("" if front["read"] else paint("yellow", ", not read: a queue is full"))
        + ("" if front["takes"] else paint("yellow", ", does not read")),
    ]
    helpers = status["helpers"]
    if helpers:
        past = {helper["pid"]: helper for helper in earlier["helpers"]} if earlier else {}
        rows = [_HEADER, *(_row(helper, past.get(helper["pid"]), seconds) for helper in helpers)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
        for at, row in enumerate(rows):
            text = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            told.append("  " + (paint("dim", text) if not at else text))
            if at:
                told += [f"      {line}" for line in _details(helpers[at - 1])]
                told += [paint("yellow", f"      {line}") for line in _unanswered(helpers[at - 1])]
    else:
        told.append("  no helper runs")
    for rule, starts in status["rules"].items():
        if starts["started"] > 1 or starts["last-end"]:
            told.append(paint("yellow" if starts["failed"] else "dim", f"  {printable(rule)}: {_starts(starts)}"))
    for name, count in status["limits-hit"].items():
        times = "once" if count == 1 else f"{count} times"
        told.append(paint("yellow", f"  limit {name} hit {times} (--set {name}=..., SPANBRIDGE_{name.upper()})"))
    return told


def _row(helper: Status, past: Status | None, seconds: float) -> tuple[str, ...]:
    privileged = " (privileged)" if helper["privileged"] else ""
    return (
        helper["rule"] + privileged,
        str(helper["pid"] or "-"),
        helper["state"],
        _age(helper["seconds"]),
        str(helper["channels"]),
        _flow(helper["bytes-in"], past["bytes-in"] if past else None, seconds),
        _flow(helper["bytes-out"], past["bytes-out"] if past else None, seconds),
        f"{100 * helper['queued'] / helper['queue-limit']:.0f} %" if helper["queued"] else "-",
    )


def _details(helper: Status) -> list[str]:
    variables = [f"{name}={shlex.quote(value)}" for name, value in helper["variables"].items()]
    source = f"  ({helper['source']})" if helper["source"] else ""  # a connection to another host has none
    told = [f"{shlex.join(helper['command'])}{source}", " ".join(variables)]
    return [printable(line) for line in told if line]


def _unanswered(helper: Status) -> list[str]:
    """Of a helper that takes its time. One that is asked by an older bridge tells nothing of it."""
    count, seconds = helper.get("unanswered", 0), helper.get("unanswered-seconds", 0.0)
    if seconds < PATIENT_SECONDS:
        return []
    return [f"{count} open{'s' if count > 1 else ''} neither ready nor closed, for up to {_age(seconds)}"]


def _host(host: str | None) -> str:
    return "host -: no front end yet" if host is None else f"host {printable(host)}"


def _starts(starts: Status) -> str:
    """How it went with the helpers of a rule."""
    told = f"{starts['started']} started"
    if starts["failed"]:
        told += f", {starts['failed']} failed"
    if starts["rests"]:
        told += f", is not tried for {starts['rests']:.1f} s"
    if end := starts["last-end"]:
        why = printable(f"{end['problem']}: {end['message']}")
        told += f"; the last ended {_age(end['seconds'])} ago: {why}"
    return told


def _moved(front: Status, past: Status | None, seconds: float) -> str:
    sent = _flow(front["bytes-in"], past["bytes-in"] if past else None, seconds)
    taken = _flow(front["bytes-out"], past["bytes-out"] if past else None, seconds)
    return f"{sent} from it, {taken} to it"


def _flow(count: int, past: int | None, seconds: float) -> str:
    rate = f" ({_size((count - past) / seconds)}/s)" if past is not None and seconds else ""
    return _size(count) + rate


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError("every count has a unit")


def _age(seconds: float) -> str:
    whole = int(seconds)
    days, hours, minutes = whole // 86_400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days}d{hours}h"
    if hours:
        return f"{hours}h{minutes}m"
    return f"{minutes}m{whole % 60}s" if minutes else f"{seconds:.0f}s"
