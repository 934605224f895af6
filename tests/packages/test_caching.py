"""The bundle checksum through a bridge: who has one, what it says to a browser, when it is made."""

import json
from pathlib import Path
from typing import Any

from spanbridge.testing import processes
from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start

from .client import CHECKSUM, COMMON, NO_CACHE, Client, Response, write_package
from .conftest import Ask

CACHED = ["/pkg/a.js", "/pkg/index.html", "/manifests.json", "/manifests.js", "/checksum", "/pkg/none", "/none/a.js"]
NEVER_CACHED = ["/pkg/po.js", "/*/a.js", "/*/po.js", "/manifests-i18n.js"]
TAGGED = ["/manifests.json", "/manifests.js"]
LARGE_BYTES = 64 << 20
"""Much more than a bridge reads at its start."""
ENDLESS_BYTES = 64 << 30
"""So much that nobody could wait for its checksum."""


def write(place: Path, **manifest: Any) -> Path:
    files = {"a.js": "a", "index.html": "<p>", "po.de.js": "de", "po.manifest.de.js": "de"}
    return write_package(place, "pkg", files, **manifest)


def write_sparse(place: Path, size: int) -> None:
    with (write(place) / "large").open("wb") as file:
        file.truncate(size)


def ask_all(client: Client) -> dict[str, Response]:
    return {path: client.get(path, {"Accept-Language": "de"}) for path in [*CACHED, *NEVER_CACHED]}


def read_bytes(pid: int) -> int:
    """How much a process has read, from anywhere (proc(5), /proc/PID/io)."""
    return int(Path(f"/proc/{pid}/io").read_text().split()[1])


def test_packages_of_the_system_have_a_checksum(home: Home, ask: Ask) -> None:
    write(home.data_dir)
    client = ask()
    answers = ask_all(client)
    checksum = answers["/checksum"].body.decode()
    assert len(checksum) == 64
    assert int(checksum, 16) > 0
    for path, answer in answers.items():
        assert answer.headers[CHECKSUM] == checksum
        assert answer.headers.get("Cache-Control") == (NO_CACHE if path in NEVER_CACHED else None), path
        assert answer.headers.get("ETag") == (f'"${checksum}"' if path in TAGGED else None), path
    assert client.get("/pkg/a.js", method="POST").headers[CHECKSUM] == checksum
    assert answers["/pkg/a.js"].headers == {**COMMON, "Content-Type": "application/javascript", CHECKSUM: checksum}
    assert json.loads(answers["/manifests.json"].body) == {".checksum": checksum, "pkg": {".checksum": checksum}}


def test_one_package_of_the_user_and_there_is_none(home: Home, ask: Ask) -> None:
    write(home.data_dir)
    write_package(home.data_home, "mine")
    for path, answer in ask_all(ask()).items():
        assert CHECKSUM not in answer.headers, path
        assert "ETag" not in answer.headers, path
        assert answer.headers["Cache-Control"] == NO_CACHE, path
        assert b".checksum" not in answer.body, path
        if path == "/checksum":
            assert (answer.status, answer.body) == (200, b"")


def test_the_checksum_is_the_same_in_another_session(home: Home, start: Start) -> None:
    write(home.data_dir)
    first, second = (Client(start().front_end).get("/checksum").body for _ in range(2))
    assert first == second


def test_a_reload_that_changes_nothing_changes_nothing(home: Home, start: Start) -> None:
    write(home.data_dir)
    bridge = start()
    client = Client(bridge.front_end)
    before = ask_all(client)
    bridge.reload()
    after = ask_all(client)
    assert {path: answer.data for path, answer in before.items()} == {
        path: answer.data for path, answer in after.items()
    }


def test_an_announced_checksum_stays_and_what_has_changed_is_not_cached_under_it(home: Home, start: Start) -> None:
    package = write(home.data_dir)
    bridge = start()
    client = Client(bridge.front_end)
    checksum = client.get("/checksum").body

    (package / "a.js").write_text("changed")
    (package / "manifest.json").write_text('{"version": 2}')
    bridge.reload()
    for path, answer in ask_all(client).items():
        assert answer.headers[CHECKSUM] == checksum.decode(), path
        assert answer.headers["Cache-Control"] == NO_CACHE, path
        assert "ETag" not in answer.headers, path
    assert client.get("/pkg/a.js").body == b"changed"
    assert client.get("/checksum").body == checksum
    assert json.loads(client.get("/manifests.json").body)["pkg"] == {"version": 2, ".checksum": checksum.decode()}

    write(home.data_dir)
    bridge.reload()
    assert "Cache-Control" not in client.get("/pkg/a.js").headers


def test_a_package_that_the_user_gets_meanwhile_is_not_cached(home: Home, start: Start) -> None:
    write(home.data_dir)
    bridge = start()
    client = Client(bridge.front_end)
    checksum = client.get("/checksum").body.decode()
    write_package(home.data_home, "mine", {"a.js": "mine"})
    bridge.reload()
    headers = client.get("/mine/a.js").headers
    assert (headers[CHECKSUM], headers["Cache-Control"]) == (checksum, NO_CACHE)


def test_a_session_without_one_gets_one_when_it_can(home: Home, start: Start) -> None:
    write(home.data_dir)
    write_package(home.data_home, "mine")
    bridge = start()
    client = Client(bridge.front_end)
    assert client.get("/checksum").body == b""
    home.remove_package("mine")
    bridge.reload()
    assert len(client.get("/checksum").body) == 64


def test_the_checksum_is_not_made_before_it_is_asked_for(home: Home, start: Start) -> None:
    write_sparse(home.data_dir, LARGE_BYTES)
    bridge = start()
    bridge.front_end.open("n", "null")
    bridge.front_end.sync()
    before = read_bytes(bridge.pid)
    assert before < LARGE_BYTES
    assert processes.threads(bridge.pid) == 1
    assert len(Client(bridge.front_end).get("/checksum").body) == 64
    assert read_bytes(bridge.pid) > before + LARGE_BYTES


def test_others_are_served_while_the_checksum_is_made(home: Home, start: Start) -> None:
    write_sparse(home.data_dir, ENDLESS_BYTES)
    bridge = start()
    client = Client(bridge.front_end)
    first, second = client.send("/checksum"), client.send("/pkg/a.js")
    for _ in range(50):
        client.front_end.sync()
    client.front_end.close(first)
    for _ in range(50):  # the other one goes on
        client.front_end.sync()
    assert client.front_end.commands(first) == ["ready", "close"]
    assert client.front_end.commands(second) == ["ready"]
    assert bridge.end() == 0
