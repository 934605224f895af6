"""`spanbridge explain`: which rule an open gets, why the others do not match, and what would be started."""

import argparse
import os
import sys
from collections.abc import Mapping
from io import TextIOWrapper
from typing import Any, Final

import msgspec

from ..catalog import load, with_own_rules
from ..installed import depth_of
from ..limits import Limits, SettingError, read_limits
from .explaining.explain_text import Text, left_out, sharing
from .explaining.explainer import Explainer
from .explaining.explanation import NOBODY, NONE, ROOT, RUNNING, Bridge, Explanation
from .explaining.reuse import Reuse, compare
from .members import ArgumentError, read_opens
from .terminal import Paint

_DESCRIPTION: Final = """\
Which rule an open message gets and why the others do not, the command that would be started for it with all variables
filled in, and what happens if that fails. With more than one open also whether they share a helper. Nothing is started.
"""
_EPILOG: Final = """\
an open is one of
  '{"payload": "logs", "unit": "web-7"}'    the JSON of an open message; each is an open of its own
  payload=logs unit=web-7                   its members: JSON where it can be read as such, else text
  n:=5                                      the same, where it must be JSON
`and` stands between two opens: spanbridge explain payload=logs unit=a and payload=logs unit=b

exit status: 0 each open would be served, 1 one would not, 2 the arguments are wrong
"""


class Report(msgspec.Struct, frozen=True):
    """What --json prints."""

    opens: list[Explanation]
    reuse: list[Reuse]
    defects: list[str]
    """What is wrong in the manifests: a rule may be missing for it."""
    hidden: list[str]
    """Packages that are not in use, and why."""


class _Unreadable(Exception):
    """The process that was named cannot be asked."""


def main(arguments: list[str]) -> int:
    """Explain the opens that the arguments describe; the exit status."""
    options = parser().parse_intermixed_args(arguments)
    try:
        opens = read_opens(options.open)
        # Our own rule is worth a line only where it might be the one.
        bridge = _bridge(options, own_rules=any(each.message.get("internal") == "extensions" for each in opens))
    except (ArgumentError, SettingError, _Unreadable) as error:
        print(f"spanbridge explain: {error}\nTry 'spanbridge explain --help'.", file=sys.stderr)
        return 2
    if isinstance(sys.stdout, TextIOWrapper):  # text as far as it can be shown; JSON is UTF-8 everywhere
        encoding = "utf-8" if options.json else sys.stdout.encoding
        sys.stdout.reconfigure(encoding=encoding, errors="backslashreplace")
    explainer = Explainer(bridge)
    told = [explainer.explain(each.message, each.payload) for each in opens]
    shared = [
        compare(first + 1, second + 1, told[first], told[second])
        for second in range(1, len(told))
        for first in range(second)
    ]
    if options.json:
        _print_json(bridge, [each.told for each in told], shared)
    else:
        _print(bridge, [each.told for each in told], shared, everything=options.all)
    return int(any(each.told.served.by == NOBODY for each in told))


def parser() -> argparse.ArgumentParser:
    """What `spanbridge explain` takes."""
    made = argparse.ArgumentParser(
        prog="spanbridge explain",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("open", nargs="+", metavar="OPEN", help="an open, see below")
    made.add_argument("--json", action="store_true", help="print JSON")
    made.add_argument("--all", action="store_true", help="leave out no rule, no variable and no end of a long text")
    made.add_argument("--host", default="localhost", metavar="NAME", help="the front end's own (default: localhost)")
    made.add_argument(
        "--superuser",
        choices=(NONE, RUNNING, ROOT),
        help="as if no privileged bridge were running, one were, or this one were root (default: root for root,"
        " else none)",
    )
    made.add_argument(
        "--pid", type=int, metavar="PID", help="with the environment and directory of that process, a running bridge"
    )
    made.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a limit, as the bridge takes it"
    )
    return made


def _bridge(options: argparse.Namespace, *, own_rules: bool) -> Bridge:
    environ, directory, root = _own() if options.pid is None else _of_process(options.pid)
    limits: Limits = read_limits(options.set, environ)
    if not options.host:
        raise ArgumentError("--host: expected a name")
    catalog = load(environ, limits.manifest_bytes)
    return Bridge(
        catalog=with_own_rules(catalog) if own_rules else catalog,
        environ=environ,
        directory=directory,
        depth=depth_of(environ),
        host=options.host,
        superuser=options.superuser or (ROOT if root else NONE),
        limits=limits,
        pid=options.pid,
    )


def _own() -> tuple[Mapping[str, str], str, bool]:
    try:
        directory = os.getcwd()
    except OSError as error:
        raise _Unreadable(f"the working directory: {error.strerror}") from None
    return dict(os.environ), directory, os.geteuid() == 0


def _of_process(pid: int) -> tuple[Mapping[str, str], str, bool]:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            entries = file.read().split(b"\0")
        directory = os.readlink(f"/proc/{pid}/cwd")
        root = os.stat(f"/proc/{pid}").st_uid == 0
    except OSError as error:
        reason = "no such process" if isinstance(error, FileNotFoundError) else error.strerror
        raise _Unreadable(f"--pid {pid}: {reason}") from None
    pairs = [entry.partition(b"=") for entry in entries if b"=" in entry]
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}, directory, root


def _print_json(bridge: Bridge, told: list[Explanation], shared: list[Reuse]) -> None:
    catalog = bridge.catalog
    report = Report(
        told,
        shared,
        [str(defect) for defect in catalog.defects],
        [f"{each.path}: {each.reason}" for each in catalog.hidden],
    )
    try:
        text = msgspec.json.encode(report)
    except UnicodeEncodeError:  # a path, a variable of the environment, or half a character of an open
        text = msgspec.json.encode(_utf8(msgspec.to_builtins(report, builtin_types=(msgspec.Raw,))))
    print(msgspec.json.format(text, indent=2).decode())


def _utf8(value: Any) -> Any:
    """A value of JSON with each text as UTF-8; bytes that are none, and half characters, are escaped."""
    if isinstance(value, str):
        try:
            return os.fsencode(value).decode(errors="backslashreplace")
        except UnicodeEncodeError:
            return value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {_utf8(name): _utf8(inner) for name, inner in value.items()}
    return [_utf8(inner) for inner in value] if isinstance(value, list | tuple) else value


def _print(bridge: Bridge, told: list[Explanation], shared: list[Reuse], *, everything: bool) -> None:
    paint = Paint(sys.stdout)
    text = Text(bridge, paint, everything=everything)
    for line in left_out(bridge.catalog, bridge, paint, everything=everything):
        print(line)
    for number, each in enumerate(told, 1):
        if number > 1:
            print()
        for line in text.explanation(each, number, len(told)):
            print(line)
    if shared:
        print()
    for comparison in shared:
        for line in sharing(comparison, paint):
            print(line)
