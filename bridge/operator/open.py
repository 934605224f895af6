"""`spanbridge open`: opens one channel through a bridge, and pipes stdin and stdout to it (docs/tools.md, "open")."""

import argparse
import math
import shlex
import signal
from typing import Any, Final

import msgspec

from ..installed import own_command
from .child import StartError
from .complain import complain
from .members import ArgumentError, Said, read_opens
from .signals import heard
from .talking.talk import INIT_SECONDS, Manner, talk

CANNOT_RUN: Final = 2

_ENDS: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


def main(arguments: list[str]) -> int:
    """0: the channel was closed without a problem. 1: with one. 2: it could not be tried. 128 and more: a signal."""
    parser = _parser()
    # Without this the PAYLOAD behind it would be taken for the ID.
    given = ["--superuser=any" if argument == "--superuser" else argument for argument in arguments]
    options = parser.parse_intermixed_args(given)
    try:
        opening = _open(options)
        command = _command(options.bridge)
    except (ArgumentError, ValueError) as error:
        parser.error(str(error))

    manner = Manner(
        raw=options.raw, lines=options.lines, line_end=b"\n" if options.newline else b"", verbose=options.verbose
    )
    with heard(_ENDS) as woken:
        try:
            return talk(command, _init(options), opening, options.timeout, manner, woken)
        except StartError as error:
            complain(f"spanbridge open: {error}")
            return CANNOT_RUN


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="spanbridge open",
        usage="spanbridge open [OPTION ...] PAYLOAD|JSON [NAME=VALUE ...]",
        description="Open one channel, and pipe stdin and stdout to it. VALUE is JSON if it can be read as such, else "
        "a string; NAME:=VALUE must be JSON. Control messages are told on stderr.",
        epilog="Status: 0 closed without a problem, 1 with one, 2 not tried, 128 + number of the signal that ended it.",
    )
    parser.add_argument(
        "payload", metavar="PAYLOAD", help="what kind of channel: echo, stream, ...; or the JSON of an open"
    )
    # Without a default argparse takes it for required as soon as PAYLOAD is missing.
    parser.add_argument(
        "members", metavar="NAME=VALUE", nargs="*", default=(), help="further members of the open message"
    )
    parser.add_argument("--bridge", metavar="CMD", help="the bridge, or the helper, to start; else spanbridge itself")
    parser.add_argument(
        "--host", default="localhost", help="the name of the machine, told in init (default: localhost)"
    )
    parser.add_argument(
        "--superuser",
        metavar="ID",
        nargs="?",
        const="any",
        help="have a privileged bridge started; superuser=require unless told otherwise. --superuser=ID: which one",
    )
    parser.add_argument("--binary", action="store_true", help='open with "binary": "raw": any bytes, not only UTF-8')
    parser.add_argument("--raw", action="store_true", help="write payloads as they come, on a terminal too")
    parser.add_argument("--lines", action="store_true", help="a frame for each line of stdin, as on a terminal")
    parser.add_argument("--newline", action="store_true", help="leave each line its end")
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=_seconds,
        help=f"wait no longer for the init of the bridge (default {INIT_SECONDS:.0f}), and for the answers to the open "
        "and to the end of stdin (default: for ever)",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="tell of all control messages, ours too")
    return parser


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < 1e6:
        raise argparse.ArgumentTypeError(f"{value!r}: expected a number of seconds above 0")
    return seconds


def _open(options: argparse.Namespace) -> Said:
    for text in (options.payload, options.host, options.superuser or ""):
        if not _is_text(text):
            raise ArgumentError(f"{ascii(text)[1:-1]}: expected UTF-8")
    is_json = options.payload.lstrip().startswith("{")
    given: dict[str, Any] = {} if is_json else {"payload": options.payload}
    if options.binary:
        given["binary"] = "raw"
    if options.superuser is not None:
        given["superuser"] = "require"
    # Members stand behind the JSON of an open and are added to it: so do what the options say.
    options_said = [f"{name}:={msgspec.json.encode(value).decode()}" for name, value in given.items()]
    first = options.payload if is_json else "{}"
    opens = read_opens([first, *options_said, *options.members])
    if len(opens) != 1:
        raise ArgumentError("one channel at a time")
    if "payload" not in opens[0].message:
        raise ArgumentError(f"{options.payload}: expected a payload in it")
    return opens[0]


def _is_text(argument: str) -> bool:
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True


def _init(options: argparse.Namespace) -> dict[str, Any]:
    superuser = False if options.superuser is None else {"id": options.superuser}
    return {"command": "init", "version": 1, "host": options.host, "superuser": superuser}


def _command(bridge: str | None) -> list[str]:
    if bridge is None:
        return own_command()
    try:
        command = shlex.split(bridge)
    except ValueError as error:
        raise ArgumentError(f"--bridge {bridge}: {error}") from None
    if not command:
        raise ArgumentError("--bridge: expected a command")
    return command
