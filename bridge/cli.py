"""The command line. Only arguments: whatever runs is imported where it is used."""

import errno
import gc
import io
import os
import stat
import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from .limits import Limits, SettingError, explain, misspelt, read_limits

if TYPE_CHECKING:
    from spanbridge.manifests.model import Rule

_USAGE: Final = """\
usage: spanbridge [--set NAME=VALUE ...] [--debug[=PART,...]]
       spanbridge --packages | --bridges | --version | --help
       spanbridge TOOL [ARGUMENT ...]

A bridge between a front end, which speaks framed messages on stdin and stdout, and helpers, which are registered in
the manifest.json files of packages. Without a command it serves the front end on stdin and stdout.

  --packages      the packages in use: name, menu labels, directory
  --bridges       the bridge rules in the order in which they are tried, as JSON
  --version       version, protocol and protocol generation
  --help, -h      this text
  --debug[=PART,...]  log what happens; parts: front, open, helper, superuser, dbus, bugs (also:
                  SPANBRIDGE_DEBUG=PART,..., or all)
  --privileged    be the privileged side of another bridge: no packages, all privileges
  --set NAME=VALUE  set a limit (also: the environment variable SPANBRIDGE_NAME)

Tools, each with a --help of its own:
{tools}

With SPANBRIDGE_RELOAD_ON_CHANGE=1 in the environment the manifests are read anew whenever one changes on disk; SIGUSR1
has them read anew at any time.

Limits, with their defaults:
"""

_DEBUG: Final = "SPANBRIDGE_DEBUG"

_NOT_WRITTEN: Final = (
    *(errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG),
    *(errno.EBADF, errno.EAGAIN),  # opened to be read alone; full, and somebody has it never wait
)
"""Why our answer on stdout may not get where it is to go."""

_ON_A_TERMINAL: Final = """\
spanbridge speaks a protocol of framed messages on stdin and stdout; there is nothing to type here.
It is meant to be started by a front end, for example:

  /usr/lib/cockpit/cockpit-ws --no-tls --port 9090 --address 127.0.0.1 --local-session={program}

Try:
  spanbridge list         what is installed, and which helper serves what
  spanbridge check        what is wrong with it
  spanbridge open echo    a channel by hand
  spanbridge --help       tools, options and limits
"""


TOOLS: Final = {
    "check": "validate manifests and overrides: every problem with its file and line",
    "explain": "which rule an open message gets, why the others do not match, and what would be started",
    "list": "packages, rules, privileged bridges, overrides, and what is hidden",
    "open": "open one channel, and pipe stdin and stdout to it",
    "tap": "stand between two programs and record the frames they exchange",
    "replay": "play a recording of tap",
    "status": "what the running bridges of this user do",
    "schema": "the JSON Schema of manifest.json",
    "extension": "make, try and look after extensions: small server parts behind pages",
    "login": "whether those who log in on this machine get spanbridge",
}
"""Each a module of bridge/operator with a `main` that takes the arguments after the name and returns the status."""


class UsageError(Exception):
    """The arguments cannot be acted on; the text says why."""


class _Stderr(io.RawIOBase):
    """Takes all that is said, and loses it where stderr is full or its reader is gone: that changes nothing else."""

    def fileno(self) -> int:
        return 2

    def isatty(self) -> bool:
        return os.isatty(2)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        try:
            return os.write(2, data)
        except OSError:
            return len(data)


def main() -> int:
    """Run the command that the arguments name; the exit status."""
    _fill_standard_descriptors()
    try:
        status = _status(sys.argv[1:])
        sys.stdout.flush()
        return status
    except OSError as error:
        if error.errno not in _NOT_WRITTEN:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left in the buffer is to go nowhere
        if error.errno == errno.EPIPE:  # what read our answer has gone
            return 0
        print(f"spanbridge: stdout: {error.strerror}", file=sys.stderr)
        return 2
    except UsageError as error:
        print(f"spanbridge: {error}\nTry 'spanbridge --help'.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130  # as a shell tells it


def _status(arguments: list[str]) -> int:
    try:
        return _main(arguments)
    except SystemExit as told:  # of argparse, which has told its help, or what is wrong
        return told.code if isinstance(told.code, int) else 0


def _fill_standard_descriptors() -> None:
    """Have something at 0, 1 and 2: whatever is opened next would else get the number, and be taken for stdin or so."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    # What Python found closed it has no stream for.
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - for as long as we run
    encoding = "utf-8" if sys.stderr is None else sys.stderr.encoding
    sys.stderr = io.TextIOWrapper(io.BufferedWriter(_Stderr()), encoding, "backslashreplace", line_buffering=True)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # the name of a file need not be UTF-8


def _main(arguments: list[str]) -> int:
    if arguments and arguments[0] in TOOLS:
        return _tool(arguments[0], arguments[1:])
    if len(arguments) == 2 and arguments[0] in ("--help", "-h") and arguments[1] in TOOLS:
        return _tool(arguments[1], ["--help"])
    settings: list[str] = []
    debug, debug_of = os.environ.get(_DEBUG, ""), _DEBUG
    command: Callable[[Limits], int] | None = None
    privileged = False
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if argument in COMMANDS:
            if command is not None:
                raise UsageError(f"{argument}: one command at a time")
            command = COMMANDS[argument]
        elif name == "--set":
            settings.append(value if equals else next(rest, ""))
        elif argument == "--privileged":
            privileged = True
        elif name == "--debug":
            debug, debug_of = value if equals else "all", name
        else:
            raise UsageError(_unknown(argument))
    serves = command is None and not os.isatty(0)
    try:
        limits = read_limits(settings, os.environ)
        _hand_down(settings)
        parts = _parts(debug, debug_of) if serves else frozenset()
    except SettingError as error:
        if serves:
            _tell_front_end(str(error))
        raise UsageError(str(error)) from None
    for told in misspelt(os.environ):
        print(f"spanbridge: {told}", file=sys.stderr)
    if command is not None:
        return command(limits)
    if not serves:
        print(_ON_A_TERMINAL.format(program=os.path.abspath(sys.argv[0])), end="")
        return 0
    status: int = _program("start").run(limits, parts, privileged=privileged)
    return status


def _tell_front_end(message: str) -> None:
    """Whoever reads frames, and not the log, is to know too why there is no session."""
    if not (stat.S_ISFIFO(mode := os.fstat(0).st_mode) or stat.S_ISSOCK(mode)):
        return
    from spanbridge.protocol.control import VERSION, control
    from spanbridge.protocol.problems import INTERNAL_ERROR

    from .stdout import write

    write(control("init", version=VERSION, problem=INTERNAL_ERROR, message=message))


def _unknown(argument: str) -> str:
    import difflib

    if argument in TOOLS:
        return f"{argument}: a tool comes first, and alone: spanbridge {argument} [ARGUMENT ...]"
    kind, known = (
        ("option", [*COMMANDS, "--set", "--debug", "--privileged"]) if argument[:1] == "-" else ("tool", [*TOOLS])
    )
    near = difflib.get_close_matches(argument, known, 1)
    return f"{argument}: no such {kind}" + (f"; did you mean {near[0]}?" if near else "")


def _tool(name: str, arguments: list[str]) -> int:
    """Run the tool of that name; its status."""
    gc.enable()  # __main__.py
    status: int = _program(f"operator.{name}").main(arguments)
    return status


def _program(name: str) -> ModuleType:
    """What runs, by the name of its module: more than what it is called need not be known here."""
    return __import__(f"{__package__}.{name}", fromlist=["*"])


def _parts(debug: str, of: str) -> frozenset[str]:
    """Which they are, as `of` names them."""
    from .log import PARTS

    parts = frozenset(filter(None, debug.split(",")))
    for part in sorted(parts.difference(PARTS, ("all",))):
        raise SettingError(f"{of}={part}: expected all, or parts of {', '.join(PARTS)}")
    return parts


def _packages(limits: Limits) -> int:
    from .catalog import load
    from .operator.printable import printable

    for package in load(os.environ, limits.manifest_bytes).packages:
        labels = [
            printable(str(item["label"]))
            for section in ("menu", "tools", "dashboard")
            for item in _items(package.manifest.get(section))
            if "label" in item
        ]
        print(f"{package.name}: {', '.join(labels)}\t{package.path}" if labels else f"{package.name}\t{package.path}")
    return 0


def _items(section: object) -> list[dict[str, object]]:
    return [item for item in section.values() if isinstance(item, dict)] if isinstance(section, dict) else []


def _hand_down(settings: list[str]) -> None:
    """Those of extensions, and the channels of a session, are for the host, which reads its environment."""
    for setting in settings:
        name, _, value = setting.partition("=")
        variable = name.strip().replace("-", "_").upper()
        if variable.startswith("EXTENSION_") or variable == "CHANNELS":
            os.environ[f"SPANBRIDGE_{variable}"] = value


def _bridges(limits: Limits) -> int:
    from .catalog import BUILT_IN, load, with_own_rules
    from .operator.output import print_json

    catalog = with_own_rules(load(os.environ, limits.manifest_bytes))
    rules = sorted((*catalog.rules, *catalog.privileged), key=lambda rule: rule.source == BUILT_IN)  # ours are last
    told = [
        {"package": rule.package, "position": rule.position, "source": rule.source, **_entry(rule)} for rule in rules
    ]
    if limits.hosts:
        told.append(_connections(limits))
    print_json(told)
    return 0


def _connections(limits: Limits) -> dict[str, object]:
    """What comes last for opens with another host (docs/hosts.md), as if it were a rule."""
    from .catalog import BUILT_IN

    own = {"package": "ssh", "position": 0, "source": BUILT_IN}
    return {**own, "match": {"host": None}, "spawn": ["ssh"], "timeout": limits.host_idle_seconds}


def _entry(rule: "Rule") -> dict[str, object]:
    """The rule as it stands in a manifest."""
    members = ("match", "spawn", "environ", "directory", "problem", "timeout", "privileged", "label")
    return {name: value for name in members if (value := getattr(rule, name)) not in (None, (), False)}


def _version(limits: Limits) -> int:
    from .installed import GENERATION, PROTOCOL, VERSION

    print(f"spanbridge {VERSION}\nprotocol {PROTOCOL}\ngeneration {GENERATION}")
    return 0


def _help(limits: Limits) -> int:
    tools = "\n".join(f"  {name:<8}  {what}" for name, what in TOOLS.items())
    print(_USAGE.format(tools=tools) + explain())
    return 0


COMMANDS: Final[dict[str, Callable[[Limits], int]]] = {
    "--packages": _packages,
    "--bridges": _bridges,
    "--version": _version,
    "--help": _help,
    "-h": _help,
}
