"""`spanbridge extension ...`, and the fixture for authors."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from spanbridge.extensions.places import Places
from spanbridge.extensions.testing import Page as AuthorsPage
from spanbridge.extensions.testing import extension
from spanbridge.operator.extending.inspect import backup, database_of, rows
from spanbridge.operator.extension import main as extension_tool
from spanbridge.testing.bridge import SPANBRIDGE

from ..docs.pages import DOCS, blocks
from ..missing import lack
from .site import Page, Site, hello, wait_until

__all__ = ["extension"]


class Tool:
    def __init__(self, site: Site, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture
        self.environ = {
            **site.home.environ,
            "XDG_STATE_HOME": str(site.home.root / "state"),
            "SPANBRIDGE_EXTENSION_LINGER_SECONDS": "0.1",
            "PATH": os.environ["PATH"],
        }

    def __call__(self, *arguments: str | Path, status: int = 0) -> str:
        """Within this process: a program for each would take most of the time."""
        self._capture.readouterr()
        with patch.dict(os.environ, self.environ, clear=True):
            found = extension_tool([str(each) for each in arguments])
        told = self._capture.readouterr()
        assert found == status, told
        return told.out + told.err


@pytest.fixture
def tool(site: Site, capfd: pytest.CaptureFixture[str]) -> Tool:
    return Tool(site, capfd)


@pytest.mark.parametrize("language", [[], ["--js"]])
def test_a_new_one_runs_and_passes_its_own_test(
    site: Site, tool: Tool, language: list[str], extension: Callable[..., AuthorsPage]
) -> None:
    if language and shutil.which("node") is None:
        lack("missing: node", "nodejs")
    path = Path(tool("new", "my-thing", *language).strip())
    assert path == site.home.data_home / "spanbridge/extensions/my-thing"
    assert tool("check", path) == ""
    assert "something already" in tool("new", "my-thing", status=2)
    assert "expected" in tool("new", "My Thing", status=2)
    (shown,) = blocks(DOCS / "extensions.md", "js" if language else "python", "module")
    source = (path / "src" / ("index.js" if language else "main.py")).read_text()
    assert source == shown.text.replace("my-extension", "my-thing").replace("my_extension", "my_thing")
    test = (path / "tests/test_items.py").read_text()
    assert test == blocks(DOCS / "extensions.md", "python", "test")[0].text
    scope: dict[str, Any] = {"__file__": str(path / "tests/test_items.py")}
    exec(test.replace("from spanbridge", "# from spanbridge"), scope)  # noqa: S102 - what we have made
    scope["test_items"](extension)


def test_list_enable_disable_log_db_backup_audit_remove(site: Site, tool: Tool, tmp_path: Path) -> None:
    source = """
    def init(router, services):
        print("here I am")
        services.db.exec("CREATE TABLE IF NOT EXISTS ext_one_t (x); INSERT INTO ext_one_t VALUES (1), (x'ff')")
    """
    site.extension("one", source, spanbridge={"permissions": {"network": [80, 443]}})
    assert "one 1  needs-consent" in tool("list")
    assert "may use the network: 80, 443" in tool("enable", "one")
    bridge = site.bridge()
    assert Page(bridge.front_end).get("/api/ext/one/").status == 404
    told = json.loads(tool("list", "--json"))
    assert told["extensions"][0]["state"] == "running"
    assert "one: disabled" in tool("disable", "one")
    assert "no-such-extension" in tool("enable", "absent", status=2)
    site.wait_log("here I am")
    assert "here I am" in tool("log", "one")
    assert "host-started" not in tool("log", "one")
    assert "host-started" in tool("log")
    assert tool("db", "one", "SELECT x FROM ext_one_t") == '{"x": 1}\n{"x": "ff"}\n'
    assert "CREATE TABLE" in tool("db", "one")
    assert "readonly" in tool("db", "one", "DELETE FROM ext_one_t", status=2)
    assert "no database" in tool("db", "absent", status=2)
    copy = tmp_path / "copy.db"
    tool("backup", "one", copy)
    assert "something already" in tool("backup", "one", copy, status=2)
    with sqlite3.connect(copy) as raw:
        assert raw.execute("SELECT count(*) FROM ext_one_t").fetchone() == (2,)
    entries = [json.loads(line) for line in tool("audit", "--extension", "one").splitlines()]
    assert [each["action"] for each in entries] == ["consent", "disable"]
    assert json.loads(tool("audit", "--verify"))["ok"] is True
    with sqlite3.connect(site.state / "audit.db") as raw:
        raw.execute("UPDATE entries SET entry = '{}' WHERE seq = 1")
    assert json.loads(tool("audit", "--verify", status=1))["first_bad"] == 1
    assert tool("remove", "one").splitlines() == [f"removed {site.home.data_home}/spanbridge/extensions/one"]
    bridge.end()
    assert (site.state / "one").exists()
    tool("remove", "one", "--data")
    assert not (site.state / "one").exists()
    assert "nothing of it" in tool("remove", "one", status=2)


@pytest.mark.parametrize("name", ["", ".", "..", "one/", "one/src", "../extensions/one"])
def test_what_is_no_name_names_no_other_directory(site: Site, tool: Tool, name: str) -> None:
    path = site.extension("one", "def init(router, services): ...")
    (site.state / "one").mkdir(parents=True)
    (site.state / "one/data.db").touch()
    for arguments in (("remove", name, "--data"), ("remove", name), ("db", name), ("backup", name, "copy.db")):
        assert "expected that of an extension" in tool(*arguments, status=2)
    assert path.exists()
    assert (site.state / "one/data.db").exists()


@pytest.mark.parametrize("odd", ["a#b", "a?mode=rwc", "a%41"])
def test_databases_below_a_directory_of_an_odd_name(tmp_path: Path, odd: str) -> None:
    places = Places("", str(tmp_path / odd), ())
    (tmp_path / odd / "one").mkdir(parents=True)
    with sqlite3.connect(tmp_path / odd / "one/data.db") as raw:
        raw.execute("CREATE TABLE t (x)")
    database = database_of(places, "one")
    assert list(rows(database, "SELECT name FROM sqlite_master")) == [{"name": "t"}]
    backup(database, str(tmp_path / "copy.db"))
    assert list(rows(str(tmp_path / "copy.db"), "SELECT name FROM sqlite_master")) == [{"name": "t"}]
    assert sorted(os.listdir(tmp_path)) == sorted([odd, "copy.db"])


@pytest.mark.parametrize(
    ("file", "text", "named"),
    [
        ("package.json", "{", "package.json"),
        ("src/main.py", "def init(:\n", "main.py:1"),
        ("src/main.py", f"x = {'-' * 200_000}1\n", "main.py: nested too deeply"),
        ("package.json", '{"name": "other", "version": "1"}', "'other'"),
        ("package.json", '{"name": "one", "version": "2"}', "version: found '1', expected '2'"),
    ],
)
def test_check(site: Site, tool: Tool, file: str, text: str, named: str) -> None:
    path = site.extension("one", hello())
    assert tool("check", path) == ""
    (path / file).write_text(text)
    assert named in tool("check", path, status=1)
    assert "no such directory" in tool("check", path / "absent", status=1)


def test_run_serves_one_directory_with_reload(site: Site, tool: Tool, tmp_path: Path) -> None:
    path = site.extension("one", hello("return {'version': version}"))
    elsewhere = tmp_path / "one"
    path.rename(elsewhere)
    with subprocess.Popen(
        [SPANBRIDGE, "extension", "run", elsewhere], env=tool.environ, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if "host-started" in line:
                    break
            page = site.session()
            assert page.get("/api/ext/one/").json == {"version": "1"}
            assert page.get("/api/extensions").json["host"]["pid"] == process.pid
            site.replace(elsewhere / "src/main.py", (elsewhere / "src/main.py").read_text().replace("'1'", "'2'"))
            site.replace(elsewhere / "package.json", '{"name": "one", "version": "2"}')
            wait_until(lambda: page.get("/api/ext/one/").json == {"version": "2"}, "the reload", lambda: site.log)
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
