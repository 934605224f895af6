"""`spanbridge extension`: making, trying and looking after extensions (docs/extensions.md)."""

import argparse
import os
import sqlite3
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from .complain import complain
from .output import print_json

_FOUND: Final = 1
_NOT_DONE: Final = 2
_LIST: Final = "/api/extensions"
_MAY: Final = {
    "network": "use the network",
    "read": "read",
    "write": "write",
    "run": "run programs",
}
"""What each permission is to the user: with true all of it, with a list (of ports, of paths) these."""


def main(arguments: list[str]) -> int:
    """0: done. 1: `check` or `audit --verify` found something. 2: it could not be done."""
    options = _parser().parse_args(arguments)
    from ..extensions.places import PlaceError
    from ..extensions.relay.relay import Unreachable
    from .extending import inspect, new

    try:
        done: int = options.run(options)
        return done
    except (Unreachable, PlaceError, inspect.Refused, new.Refused, OSError, sqlite3.Error, UnicodeEncodeError) as error:
        complain(f"spanbridge extension: {error}")
        return _NOT_DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="spanbridge extension",
        description="Make, try and look after extensions: small server parts behind pages.",
        epilog="Status: 0 done, 1 something was found by check or audit --verify, 2 it could not be done.",
    )
    tools = parser.add_subparsers(metavar="WHAT", required=True)

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        made = tools.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        made.set_defaults(run=run)
        return made

    tool = add("new", _new, "make an extension to begin with")
    tool.add_argument("name", metavar="NAME")
    tool.add_argument("--js", action="store_true", help="in JavaScript; else in Python")
    tool.add_argument("--directory", metavar="D", help="make D/NAME; else where the host finds it")
    tool = add("check", _check, "say what is wrong with an extension, without running it")
    tool.add_argument("directory", metavar="DIR")
    tool = add("list", _list, "list the extensions and what they do")
    tool.add_argument("--json", action="store_true", help="as JSON")
    tool = add("enable", _enable, "let an extension run, with the permissions that it asks for, which are shown")
    tool.add_argument("name", metavar="NAME")
    tool = add("disable", _disable, "have an extension run no more")
    tool.add_argument("name", metavar="NAME")
    tool = add("log", _log, "what the host has logged, and extensions have printed")
    tool.add_argument("name", metavar="NAME", nargs="?")
    tool = add("db", _db, "rows of the database of an extension, as JSON; its schema without SQL")
    tool.add_argument("name", metavar="NAME")
    tool.add_argument("sql", metavar="SQL", nargs="?", default="SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
    tool = add("backup", _backup, "copy the database of an extension, also while it is used")
    tool.add_argument("name", metavar="NAME")
    tool.add_argument("file", metavar="FILE")
    tool = add("remove", _remove, "remove an extension of yours; its data stays")
    tool.add_argument("name", metavar="NAME")
    tool.add_argument("--data", action="store_true", help="its database, metrics and files, too")
    tool = add("audit", _audit, "entries of the audit log, as JSON")
    tool.add_argument("--verify", action="store_true", help="whether its chain is whole")
    tool.add_argument("--extension", metavar="NAME", help="of one extension")
    tool = add("run", _run, "serve one directory in the foreground, reloaded at each change")
    tool.add_argument("directory", metavar="DIR")
    add("serve", _serve, "be the host in the foreground, for a service of the user's")
    return parser


def _places() -> Any:
    from ..extensions.places import places_of

    return places_of(os.environ)


def _asked(method: str, path: str, body: Any = None) -> Any:
    """What the host answers, which must be good. Raises Unreachable, Refused."""
    from ..extensions.relay.client import Client
    from .extending.inspect import Refused

    with Client() as client:
        told = client.request(method, path, body)
    if told.status >= 400:
        raise Refused(f"{told.json['error']}: {told.json['message']}")
    return told.json


def _new(options: argparse.Namespace) -> int:
    from .extending.new import make

    print(make(options.name, options.directory or _places().data[0], javascript=options.js))
    return 0


def _check(options: argparse.Namespace) -> int:
    from .extending.inspect import findings

    found = findings(options.directory)
    for line in found:
        print(line)
    return _FOUND if found else 0


def _list(options: argparse.Namespace) -> int:
    told = _asked("GET", _LIST)
    if options.json:
        print_json(told)
        return 0
    for each in told["extensions"]:
        error = f"  {each['error']}" if each["error"] else ""
        print(f"{each['name']} {each['version']}  {each['state']}  {each['path']}{error}")
    return 0


def _enable(options: argparse.Namespace) -> int:
    listed = _asked("GET", _LIST)["extensions"]
    asks: dict[str, Any] = next((each["asks"] for each in listed if each["name"] == options.name), {})
    told = _asked("POST", f"{_LIST}/{options.name}/enable", {"permissions": asks})
    for name, value in asks.items():
        print(f"may {_MAY[name]}" + ("" if value is True else f": {', '.join(map(str, value))}"))
    print(f"{options.name}: {told['state']}")
    return 0


def _disable(options: argparse.Namespace) -> int:
    print(f"{options.name}: {_asked('POST', f'{_LIST}/{options.name}/disable')['state']}")
    return 0


def _log(options: argparse.Namespace) -> int:
    from .extending.inspect import log_lines

    for line in log_lines(_places(), options.name):
        print(line)
    return 0


def _db(options: argparse.Namespace) -> int:
    from .extending.inspect import database_of, rows, told

    for row in rows(database_of(_places(), options.name), options.sql):
        print(told(row))
    return 0


def _backup(options: argparse.Namespace) -> int:
    from .extending.inspect import backup, database_of

    backup(database_of(_places(), options.name), options.file)
    return 0


def _remove(options: argparse.Namespace) -> int:
    from .extending.inspect import remove

    for path in remove(_places(), options.name, data=options.data):
        print(f"removed {path}")
    return 0


def _audit(options: argparse.Namespace) -> int:
    from ..extensions.services.audit import entries_in, verify
    from .extending.inspect import told

    path = os.path.join(_places().state, "audit.db")
    if options.verify:
        found = verify(path)
        print_json(found)
        return 0 if found["ok"] else _FOUND
    for seq, entry in entries_in(path):
        if "broken" in entry:
            complain(f"spanbridge extension: {path}: entry {seq}: {entry['broken']}")
        if options.extension in (None, entry.get("extension")):
            print(told(entry))
    return 0


def _run(options: argparse.Namespace) -> int:
    from ..extensions.life.found import look_at
    from .extending.inspect import Refused

    found = look_at(os.path.abspath(options.directory))
    if found.broken:
        raise Refused(found.broken)
    sys.stderr.write(f"{found.name} is served at /api/ext/{found.name}/ of your sessions, until Ctrl-C\n")
    return _host([found.path])


def _serve(options: argparse.Namespace) -> int:
    return _host()


def _host(alone: Sequence[str] = ()) -> int:
    """Be the host; by name, as the relay of a session starts it."""
    from importlib import import_module

    status: int = import_module("spanbridge.extensions.host.host").serve(stay=True, alone=alone, echo=True)
    return status
