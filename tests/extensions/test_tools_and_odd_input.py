"""`spanbridge extension ...` with names, files and programs that are not as they should be: told in a line."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import pytest

from spanbridge.extensions.services.audit import START, canonical, hash_of, verify
from spanbridge.operator.extending import inspect

from .site import Site
from .test_tools import Tool, tool

__all__ = ["tool"]

_TABLE = "CREATE TABLE entries (seq INTEGER PRIMARY KEY, entry TEXT NOT NULL, hash TEXT NOT NULL)"


@pytest.mark.parametrize("name", ["one\udcff", "on e"])
def test_a_name_that_is_no_text(site: Site, tool: Tool, name: str) -> None:
    assert "spanbridge extension: " in tool("enable", name, status=2)
    assert "spanbridge extension: " in tool("db", name, "SELECT '\udcff'", status=2)


@pytest.mark.parametrize("source", [f"x = {'-' * 200_000}1", f"x = 1{'+1' * 100_000}", "x = '\0'"])
def test_check_of_what_python_cannot_compile(site: Site, tool: Tool, source: str) -> None:
    path = site.extension("one", source)
    assert "main.py" in tool("check", path, status=1)


@pytest.mark.parametrize(
    ("does", "named"), [("printf '\\377' >&2; exit 1", "\ufffd"), ("exec sleep 60", "--check took more than 0.3 s")]
)
def test_check_with_a_node_of_its_own_kind(site: Site, tool: Tool, tmp_path: Path, does: str, named: str) -> None:
    path = site.extension("one", "", main="index.js")
    node = tmp_path / "node"
    node.write_text(f"#!/bin/sh\n{does}\n")
    node.chmod(0o700)
    tool.environ["PATH"] = f"{tmp_path}:{tool.environ['PATH']}"
    with patch.object(inspect, "_NODE_SECONDS", 0.3):
        assert named in tool("check", path, status=1)


@pytest.mark.parametrize("place", ["a%41", "a#b", "a?b", "caf\udce9"])
def test_any_directory(tmp_path: Path, place: str) -> None:
    directory = tmp_path / place
    directory.mkdir()
    _write(directory / "audit.db", _entry(1, START))
    assert verify(str(directory / "audit.db"))["ok"] is True
    assert list(inspect.rows(str(directory / "audit.db"), "SELECT seq FROM entries")) == [{"seq": 1}]


def test_half_a_copy_is_not_left(site: Site, tool: Tool, tmp_path: Path) -> None:
    (site.state / "one").mkdir(parents=True)
    (site.state / "one" / "data.db").write_bytes(b"no database" * 1_000)
    copy = tmp_path / "copy.db"
    assert "not a database" in tool("backup", "one", copy, status=2)
    assert not copy.exists()


@pytest.mark.parametrize(
    ("second", "broken"),
    [
        (b"no JSON", "no JSON object"),
        (b"[]", "no JSON object"),
        (b"{}", ""),
        (b"[" * 100_000, "no JSON object"),
        (b"[" * 200_000, "found 200000 bytes"),
        (b'{"seq":2,"x":"\xff"}', "not UTF-8"),
        (b'{"seq":2,"x":"\\ud800"}', "no JSON object"),
        (_second := canonical({"seq": 2, "prev": hash_of(canonical({"seq": 1, "prev": START}))}).encode(), ""),
    ],
)
@pytest.mark.parametrize("kind", ["TEXT", "BLOB"])
def test_an_entry_that_somebody_has_written(site: Site, tool: Tool, second: bytes, broken: str, kind: str) -> None:
    site.state.mkdir(parents=True)
    digest = hash_of(second.decode(errors="replace"))
    _write(site.state / "audit.db", _entry(1, START), (2, second, digest), kind=kind)
    found = verify(str(site.state / "audit.db"))
    assert found["first_bad"] == (None if (second, kind) == (_second, "TEXT") else 2)
    assert json.loads(tool("audit", "--verify", status=0 if found["ok"] else 1)) == found
    broken = "" if second in (b"{}", _second) and kind == "TEXT" else broken if kind == "TEXT" else "found blob"
    said = [line for line in tool("audit").splitlines() if line.startswith("spanbridge")]
    assert [broken in line for line in said] == ([True] if broken else [])
    assert all(f"{site.state}/audit.db: entry 2: " in line for line in said)
    page = site.session()
    told = page.get("/api/extensions/audit").json["entries"]
    assert [each.get("seq") for each in told] == [1, None if second == b"{}" and kind == "TEXT" else 2]
    assert broken in told[1].get("broken", "")
    assert ("entry" in told[1]) == bool(broken)
    assert page.get("/api/extensions/audit?extension=one").json["entries"] == []


def test_a_log_whose_last_hash_is_no_text_goes_on(site: Site, tool: Tool) -> None:
    site.state.mkdir(parents=True)
    _write(site.state / "audit.db", _entry(1, START))
    with closing(sqlite3.connect(site.state / "audit.db")) as db, db:
        db.execute("UPDATE entries SET hash = CAST(? AS TEXT)", (b"\xff",))
    site.extension("one", "def init(router, services): pass")
    page = site.session()
    assert page("POST", "/api/extensions/one/disable").status == 200
    told = page.get("/api/extensions/audit").json["entries"]
    assert [(each["seq"], each["hash"] == "\\xff") for each in told] == [(1, True), (2, False)]
    assert json.loads(tool("audit", "--verify", status=1))["first_bad"] == 1


def test_a_log_whose_numbers_are_used_up_says_so(site: Site) -> None:
    site.state.mkdir(parents=True)
    _write(site.state / "audit.db", _entry((1 << 63) - 1, START))
    site.extension("one", "def init(router, services): pass")
    told = site.session()("POST", "/api/extensions/one/disable")
    assert (told.status, "no number" in told.json["message"]) == (503, True)


def test_rows_with_text_that_is_none(site: Site, tool: Tool) -> None:
    (site.state / "one").mkdir(parents=True)
    with closing(sqlite3.connect(site.state / "one" / "data.db")) as db, db:
        db.execute("CREATE TABLE t AS SELECT CAST(? AS TEXT) AS a", (b"x\xff",))
    assert json.loads(tool("db", "one", "SELECT a FROM t")) == {"a": "x\\xff"}


def _entry(seq: int, prev: str) -> tuple[int, bytes, str]:
    text = canonical({"seq": seq, "prev": prev})
    return seq, text.encode(), hash_of(text)


def _write(path: Path, *entries: tuple[int, bytes, str], kind: str = "TEXT") -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(_TABLE)
        for seq, entry, digest in entries:
            as_kind = kind if seq == 2 else "TEXT"
            db.execute(f"INSERT INTO entries VALUES (?, CAST(? AS {as_kind}), ?)", (seq, entry, digest))
