"""`spanbridge extension new`: an extension to begin with, the one that docs/extensions.md shows."""

import json
import os
import stat
from typing import Final

from ...extensions.database.authorizer import prefix_of
from ...extensions.life.found import NAME

_PYTHON: Final = '''\
import uuid

name = "NAME"
version = "1.0.0"


def init(router, services):
    db = services.db
    db.exec("""
        CREATE TABLE IF NOT EXISTS PREFIXitems (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL,
            created_at DATETIME DEFAULT CURRENT_TIMESTAMP
        )
    """)

    @router.get("/items")
    def items(req):
        return {"items": db.prepare("SELECT * FROM PREFIXitems").all()}

    @router.post("/items")
    def add(req):
        name = req.body["name"]
        ident = str(uuid.uuid4())
        db.prepare("INSERT INTO PREFIXitems (id, name) VALUES (?, ?)").run(ident, name)
        services.audit_log("create", "item", ident, {"name": name})
        services.broadcast("items", {"id": ident, "name": name})
        return 201, {"id": ident, "name": name}
'''
_JAVASCRIPT: Final = """\
module.exports = {
  name: 'NAME',
  version: '1.0.0',

  init(router, services) {
    const { db, broadcast, auditLog } = services;

    db.exec(`
      CREATE TABLE IF NOT EXISTS PREFIXitems (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        created_at DATETIME DEFAULT CURRENT_TIMESTAMP
      )
    `);

    router.get('/items', (req, res) => {
      res.json({ items: db.prepare('SELECT * FROM PREFIXitems').all() });
    });

    router.post('/items', (req, res) => {
      const { name } = req.body;
      const id = crypto.randomUUID();
      db.prepare('INSERT INTO PREFIXitems (id, name) VALUES (?, ?)').run(id, name);
      auditLog('create', 'item', id, { name });
      broadcast('items', { id, name });
      res.status(201).json({ id, name });
    });
  }
};
"""
_TEST: Final = """\
from spanbridge.extensions.testing import extension


def test_items(extension):
    page = extension(__file__)
    event = page.events("items")
    assert page.get("/items").json == {"items": []}
    assert page.post("/items", {"name": "one"}).status == 201
    assert event()["data"]["name"] == "one"
    (item,) = page.get("/items").json["items"]
    assert item["name"] == "one"
"""


class Refused(Exception):
    """It cannot be made; the text says why."""


def make(name: str, directory: str, *, javascript: bool) -> str:
    """Write it; its directory. Raises Refused, OSError."""
    if not NAME.fullmatch(name):
        raise Refused(f"the name {name!r}: expected {NAME.pattern}")
    path = os.path.join(directory, name)
    if os.path.lexists(path):
        raise Refused(f"{path}: there is something already")
    main = "src/index.js" if javascript else "src/main.py"
    source = _JAVASCRIPT if javascript else _PYTHON
    package = json.dumps({"name": name, "version": "1.0.0"}, indent=2)
    for part in (path, os.path.join(path, "src"), os.path.join(path, "tests")):
        _make_directory(os.path.abspath(part))
    for file, text in (
        (main, source.replace("NAME", name).replace("PREFIX", prefix_of(name))),
        ("tests/test_items.py", _TEST),
        ("package.json", f"{package}\n"),  # the last: only now it is an extension
    ):
        with open(os.path.join(path, file), "w", encoding="utf-8") as opened:
            opened.write(text)
        _give_us(os.path.join(path, file), 0o600)
    return path


def _make_directory(path: str) -> None:
    """With those above it. Raises OSError."""
    if not os.path.isdir(path):
        _make_directory(os.path.dirname(path))
        os.mkdir(path)
        _give_us(path, 0o700)


def _give_us(path: str, bits: int) -> None:
    """A umask may keep it from others, not from ourselves. Raises OSError."""
    mode = stat.S_IMODE(os.stat(path).st_mode)
    if mode & bits != bits:
        os.chmod(path, mode | bits)
