"""`spanbridge replay`: plays one side of a recording, and compares what comes (docs/tools.md, "replay")."""

import argparse
import io
import signal
import sys
from collections.abc import Callable
from typing import Final

from spanbridge.protocol.problems import Problem

from .child import StartError
from .command_line import split
from .complain import complain, painted
from .output import tolerate_any_character
from .recordings.comparison import Comparison
from .recordings.player import Player, Side
from .recordings.recording import RecordingError, read_recording
from .recordings.script import Step, steps
from .recordings.stream import Stream
from .recordings.wire import Wire
from .signals import Woken, heard
from .talking.connection import Connection
from .talking.secret import ask
from .terminal import Paint

SAME: Final = 0
DIFFERENT: Final = 1
CANNOT_RUN: Final = 2
TIMEOUT_SECONDS: Final = 10.0

_ENDS: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
_SIDES: Final = {"front-end": Side("in", "out"), "helper": Side("out", "in")}


def main(arguments: list[str]) -> int:
    """0 if all that was expected came, and nothing else; 1 if not; 2 if it could not be tried."""
    tolerate_any_character()
    parser = _parser()
    own, command = split(parser, arguments, required=False)
    options = parser.parse_intermixed_args(own)
    if not command and options.side == "front-end":
        parser.error("expected -- COMMAND at the end")
    side = _SIDES[options.side]
    with heard(_ENDS) as woken:
        try:
            with open(options.file, "rb") as file:
                script, status = steps(read_recording(file), side.sends)
            comparison = Comparison(script, options.compare, frozenset(options.ignore))
            told = painted() if options.verbose else None
            player = Player(script, side, _secrets(script, woken), comparison, options.timeout, options.timing, told)
            if not command:
                return _play_on_stdio(player, woken)
            return _play(player, command, woken, status if options.side == "front-end" else None)
        except (RecordingError, StartError, Problem, OSError) as error:
            where = "" if isinstance(error, StartError) else f"{options.file}: "
            why = error.strerror if isinstance(error, OSError) else str(error)
            complain(f"spanbridge replay: {where}{why}")
            return CANNOT_RUN


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="spanbridge replay",
        usage="spanbridge replay [OPTION ...] FILE [--as helper] -- COMMAND ...\n"
        "       spanbridge replay [OPTION ...] FILE --as helper",
        description="Send what one side had sent in a recording of tap, each frame once the frames have come that had "
        "come before it, and compare what comes.",
        epilog="Status: 0 the same, 1 different, 2 not tried, 128 + number of the signal that ended it.",
    )
    parser.add_argument("file", metavar="FILE", help="a recording, made with tap --payload all")
    parser.add_argument(
        "--as",
        dest="side",
        choices=tuple(_SIDES),
        default="front-end",
        help="the side to play; a helper without a COMMAND speaks on stdin and stdout",
    )
    parser.add_argument("--timing", action="store_true", help="keep the delays of the recording, too")
    parser.add_argument(
        "--compare",
        choices=("payload", "size", "kind"),
        default="payload",
        help="what must be the same of each frame (default: payload)",
    )
    parser.add_argument(
        "--ignore", metavar="MEMBER", action="append", default=[], help="a member of control messages not to compare"
    )
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=_seconds,
        default=TIMEOUT_SECONDS,
        help=f"how long nothing may come that is waited for (default {TIMEOUT_SECONDS:.0f})",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="tell of each frame")
    return parser


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1
    if not 0 < seconds < 1e6:
        raise argparse.ArgumentTypeError(f"{value!r}: expected a number of seconds above 0")
    return seconds


def _secrets(script: list[Step], woken: Woken) -> dict[int, str]:
    """The responses that the recording has not, by number of frame, as somebody types them. Raises RecordingError."""
    secrets = {}
    for step in script:
        if step.what == "send" and step.record.redacted:
            where = f"frame {step.number} (line {step.line})"
            response = ask(f"The response of {where}, which was left out: ", woken)
            if response is None:
                raise RecordingError(f"{where}: its response was left out, and there is no terminal to ask for it")
            secrets[step.number] = response
    return secrets


def _play(player: Player, command: list[str], woken: Woken, recorded: int | None) -> int:
    connection = Connection(command)
    stopped: int | None = 0
    try:
        stopped = player.run(connection.wire, woken)
    finally:
        end = connection.end(woken, at_once=stopped is not None)
    if stopped is None and recorded is not None and end.status != recorded:
        player.comparison.note(f"the command {end.words}; in the recording its status was {recorded}")
    return _report(player, stopped, print, Paint(sys.stdout or io.StringIO()))


def _play_on_stdio(player: Player, woken: Woken) -> int:
    wire = Wire(Stream(1, writes=True), Stream(0))
    try:
        stopped = player.run(wire, woken)
    finally:
        wire.close()
    return _report(player, stopped, complain, painted())


def _report(player: Player, stopped: int | None, write: Callable[[str], None], paint: Paint) -> int:
    """Tell what differs; the exit status."""
    if stopped:
        complain(f"spanbridge replay: stopped by {signal.Signals(stopped).name}")
        return 128 + stopped
    found = player.comparison
    found.finish()
    for line in found.lines:
        write(paint("red", line))
    verdict = paint("red", f"differences: {found.differences}") if found.differences else paint("green", "the same")
    write(f"sent {player.sent} frames, expected {found.expected}, got {found.came}: {verdict}")
    return DIFFERENT if found.differences else SAME
