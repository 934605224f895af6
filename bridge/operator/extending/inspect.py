"""`spanbridge extension check`, `db`, `backup`, `remove`, `log`: what lies on disk."""

import ast
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from typing import Any, Final

from ...extensions.life.found import look_at
from ...extensions.life.on_disk import Found
from ...extensions.places import Places
from ...extensions.services.audit import any_text, read_only, reading

_NODE_SECONDS: Final = 10.0


class Refused(Exception):
    """It cannot be done; the text says why."""


def findings(directory: str) -> list[str]:
    """What is wrong with an extension, as far as can be told without running it."""
    if not os.path.isdir(directory):
        return [f"{directory}: no such directory"]
    found = look_at(os.path.abspath(directory))
    if found.broken:
        return [found.broken]
    told = []
    name = os.path.basename(found.path.rstrip("/"))
    if name != found.name:
        told.append(f"{found.path}/package.json: name: {found.name!r}, in a directory that is called {name!r}")
    return told + (_python(found) if found.language == "python" else _javascript(found.main))


def _python(found: Found) -> list[str]:
    main = found.main
    with open(main, "rb") as file:
        source = file.read()
    try:
        compile(source, main, "exec", dont_inherit=True)
    except SyntaxError as error:
        return [f"{main}:{error.lineno}: {error.msg}" if error.lineno else f"{main}: {error.msg}"]
    except ValueError as error:
        return [f"{main}: {error}"]
    except (MemoryError, RecursionError):
        return [f"{main}: nested too deeply"]
    wanted = {"name": found.name, "version": found.version}
    return [
        f"{main}:{line}: {name}: found {value!r}, expected {wanted[name]!r} as in package.json"
        for name, value, line in _constants(ast.parse(source))
        if name in wanted and value != wanted[name]
    ]


def _constants(tree: ast.Module) -> Iterator[tuple[str, Any, int]]:
    """Names of a module that are given a constant, with it and the line."""
    for each in tree.body:
        match each:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=value)):
                yield name, value, each.lineno


def _javascript(main: str) -> list[str]:
    node = shutil.which("node")
    if node is None:
        return [f"{main}: there is no node in PATH, which runs JavaScript"]
    try:
        done = subprocess.run([node, "--check", main], capture_output=True, check=False, timeout=_NODE_SECONDS, cwd="/")
    except subprocess.TimeoutExpired:
        return [f"{main}: {node} --check took more than {_NODE_SECONDS:g} s"]
    return [f"{main}: {done.stderr.decode(errors='replace').strip()}"] if done.returncode else []


def _check_name(name: str) -> None:
    """An empty one, "..", or one with a slash would be another directory, and all that is in it. Raises Refused."""
    if name in ("", os.curdir, os.pardir) or os.sep in name:
        raise Refused(f"the name {name!r}: expected that of an extension")


def database_of(places: Places, name: str) -> str:
    """Raises Refused."""
    _check_name(name)
    path = os.path.join(places.state, name, "data.db")
    if not os.path.exists(path):
        raise Refused(f"{name}: it has no database, expected {path}")
    return path


def rows(path: str, sql: str) -> Iterator[dict[str, Any]]:
    """Of SQL that only reads. Raises DatabaseFailed."""
    with reading(path) as db:
        db.text_factory = any_text
        cursor = db.execute(sql)
        names = [column[0] for column in cursor.description or ()]
        for row in cursor:
            yield dict(zip(names, [_shown(value) for value in row], strict=True))


def _shown(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def backup(path: str, to: str) -> None:
    """A whole copy, also of a database in use. Raises Refused, sqlite3.Error, OSError."""
    try:
        fd = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise Refused(f"{to}: there is something already") from None
    try:
        os.fchmod(fd, 0o600)  # a umask may have taken it from ourselves
    finally:
        os.close(fd)
    try:
        with (
            contextlib.closing(sqlite3.connect(read_only(path), uri=True)) as source,
            contextlib.closing(sqlite3.connect(to)) as copy,
        ):
            source.backup(copy)
    except BaseException:
        os.unlink(to)  # half a copy, which would be in the way of the next
        raise


def _remove_tree(path: str) -> None:
    """Whoever still uses it may remove some of it meanwhile: a database that is closed loses its log."""
    while os.path.lexists(path):
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)


def remove(places: Places, name: str, *, data: bool) -> list[str]:
    """Remove the user's own copy of an extension, and its data; what was removed. Raises Refused, OSError."""
    _check_name(name)
    removed = []
    path = os.path.join(places.data[0], name)
    if os.path.islink(path):
        os.unlink(path)
        removed.append(path)
    elif os.path.isdir(path):
        _remove_tree(path)
        removed.append(path)
    state = os.path.join(places.state, name)
    if data and os.path.isdir(state):
        _remove_tree(state)
        removed.append(state)
    if not removed:
        raise Refused(f"{name}: nothing of it in {places.data[0]}" + (f", nor in {places.state}" if data else ""))
    return removed


def log_lines(places: Places, name: str | None) -> Iterator[str]:
    """Of host.log and the one before; those about one extension, or all."""
    for file in ("host.log.1", "host.log"):
        path = os.path.join(places.state, file)
        if os.path.isfile(path):
            with open(path, encoding="utf-8", errors="replace") as opened:
                for line in opened:
                    about = line.partition(" ")[2]
                    if name is None or about.startswith(f"{name}: ") or f"extension={name} " in f"{about.rstrip()} ":
                        yield line.rstrip("\n")


def told(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
