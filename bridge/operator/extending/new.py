"""`spanbridge extension new`: an extension to begin with."""

import json
import os
from typing import Final

from ...extensions.database.authorizer import prefix_of
from ...extensions.life.found import NAME

_PYTHON: Final = """\
name = "NAME"
version = "1.0.0"


def init(router, services):
    db = services.db
    db.migrate(["CREATE TABLE PREFIXitems (id INTEGER PRIMARY KEY, name TEXT NOT NULL)"])

    @router.get("/items")
    def items(req):
        return {"items": db.prepare("SELECT * FROM PREFIXitems").all()}

    @router.post("/items")
    def add(req):
        added = db.prepare("INSERT INTO PREFIXitems (name) VALUES (?)").run(req.body["name"])
        services.audit_log("create", "item", added.last_insert_rowid)
        services.broadcast("items", {"id": added.last_insert_rowid})
        return 201, {"id": added.last_insert_rowid}
"""
_JAVASCRIPT: Final = """\
module.exports = {
  name: 'NAME',
  version: '1.0.0',

  init(router, { db, auditLog, broadcast }) {
    db.migrate(['CREATE TABLE PREFIXitems (id INTEGER PRIMARY KEY, name TEXT NOT NULL)'])

    router.get('/items', (req, res) => {
      res.json({ items: db.prepare('SELECT * FROM PREFIXitems').all() })
    })

    router.post('/items', (req, res) => {
      const { lastInsertRowid: id } = db.prepare('INSERT INTO PREFIXitems (name) VALUES (?)').run(req.body.name)
      auditLog('create', 'item', id)
      broadcast('items', { id })
      res.status(201).json({ id })
    })
  }
}
"""
_TEST: Final = """\
from spanbridge.extensions.testing import extension  # noqa: F401 - a fixture


def test_items(extension):
    page = extension(__file__)
    assert page.post("/items", {"name": "one"}).status == 201
    assert page.get("/items").json == {"items": [{"id": 1, "name": "one"}]}
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
    package = json.dumps({"name": name, "version": "1.0.0", "main": main}, indent=2)
    os.makedirs(os.path.join(path, "src"))
    os.makedirs(os.path.join(path, "tests"))
    for file, text in (
        (main, source.replace("NAME", name).replace("PREFIX", prefix_of(name))),
        ("tests/test_items.py", _TEST),
        ("package.json", f"{package}\n"),  # the last: only now it is an extension
    ):
        with open(os.path.join(path, file), "w", encoding="utf-8") as opened:
            opened.write(text)
    return path
