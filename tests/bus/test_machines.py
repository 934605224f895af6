"""/machines through a bridge: files read, written, and watched (docs/internal-bus.md, "/machines")."""

import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start
from spanbridge.testing.start import starting

from .client import ERROR, BusClient

MACHINES = ("/machines", "cockpit.Machines")
VISIBLE = {"visible": {"t": "b", "v": True}}


@pytest.fixture
def machines_d(home: Home) -> Path:
    """The directory, which is made."""
    directory = home.config_dir / "cockpit" / "machines.d"
    directory.mkdir(parents=True)
    return directory


def machines(client: BusClient) -> Any:
    told = client.get(*MACHINES, "Machines")
    assert told["t"] == "a{sa{sv}}"
    return told["v"]


def watched(client: BusClient) -> Any:
    """Begin to watch; the machines as they are now."""
    client.say({"watch": {"path": "/machines"}, "id": "watch"})
    client.take("meta")
    now = client.take("notify")
    client.next()
    return now["/machines"]["cockpit.Machines"]["Machines"]


def next_machines(client: BusClient) -> Any:
    return client.take("notify")["/machines"]["cockpit.Machines"]["Machines"]


def put(path: Path, content: Any) -> None:
    """Write a file as careful programs do."""
    new = path.with_name(path.name + ".new")
    new.write_text(content if isinstance(content, str) else json.dumps(content))
    new.rename(path)


# Reading


def test_later_files_win_property_by_property(machines_d: Path, bus: Callable[..., BusClient]) -> None:
    put(machines_d / "01.json", {"a": {"visible": True, "color": "red", "port": 22}, "b": {"load": 0.5}})
    put(machines_d / "02.json", {"a": {"color": "blue"}, "c": {}})
    put(machines_d / "02.txt", {"no": {}})
    put(machines_d / ".03.json", {"no": {}})
    assert machines(bus()) == {
        "a": {"visible": {"t": "b", "v": True}, "color": {"t": "s", "v": "blue"}, "port": {"t": "x", "v": 22}},
        "b": {"load": {"t": "d", "v": 0.5}},
        "c": {},
    }


def test_without_the_directory_there_are_none(bus: Callable[..., BusClient]) -> None:
    assert machines(bus()) == {}


def test_what_is_malformed_is_left_out_with_one_warning_each(machines_d: Path, start: Start) -> None:
    put(machines_d / "01.json", {"a": {"visible": True, "list": [1], "null": None}, "b": 5})
    put(machines_d / "02.json", '{"a": {"color": ')
    put(machines_d / "03.json", "[]")
    put(machines_d / "04.json", "[" * 100_000)
    (machines_d / "05.json").mkdir()
    os.mkfifo(machines_d / "06.json")
    (machines_d / "07.json").symlink_to("nothing")
    (machines_d / "08.json").write_bytes(b"x" * (2 << 20))
    put(machines_d / "09.json", {"a": {"color": "red"}})
    bridge = start()
    client = BusClient(bridge.front_end)
    for _ in range(2):
        assert (
            watched(client)
            if _ == 0
            else machines(client) == {"a": {"visible": {"t": "b", "v": True}, "color": {"t": "s", "v": "red"}}}
        )
    bridge.front_end.sync()
    warnings = bridge.log.matches("warning: machines defect=")
    for number in range(2, 9):
        assert len([line for line in warnings if f"0{number}.json" in line]) == 1, warnings
    assert len([line for line in warnings if "01.json" in line]) == 3
    assert len(warnings) == 10


@pytest.mark.parametrize(
    "content",
    ['{"a": {"port": 18446744073709551615}}', '{"a": {"x": "a\\u0000b"}}', '{"a": {"\\u0000": 1}}', '{"\\u0000": {}}'],
    ids=range(4),
)
def test_what_the_bus_cannot_tell_is_left_out(machines_d: Path, start: Start, content: str) -> None:
    bridge = start()
    client = BusClient(bridge.front_end)
    assert watched(client) == {}
    put(machines_d / "01.json", content)
    bridge.log.wait("warning: machines defect=")
    put(machines_d / "02.json", {"b": {}})
    while "b" not in next_machines(client):
        pass
    assert machines(client).keys() <= {"a", "b"}
    assert "unforeseen" not in bridge.log.text


# Writing


def test_an_update_is_written_and_told(home: Home, bus: Callable[..., BusClient]) -> None:
    client = bus()
    assert watched(client) == {}
    properties = {"visible": {"t": "b", "v": False}, "color": {"t": "s", "v": "red"}, "port": {"t": "i", "v": 22}}
    client.say({"call": [*MACHINES, "Update", ["99-webui.json", "box", properties]], "id": "1"})
    assert next_machines(client) == {"box": {**properties, "port": {"t": "x", "v": 22}}}
    assert client.next() == {"reply": [[]], "id": "1"}
    file = home.config_dir / "cockpit/machines.d/99-webui.json"
    assert json.loads(file.read_text()) == {"box": {"visible": False, "color": "red", "port": 22}}
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert client.waiting() == []  # that the file has changed on disk is no news


def test_an_update_keeps_what_else_the_file_says(machines_d: Path, bus: Callable[..., BusClient]) -> None:
    file = machines_d / "mine.json"
    put(file, {"box": {"color": "red", "odd": [1]}, "other": {"visible": True}, "comment": 5})
    file.chmod(0o600)
    assert bus().call(*MACHINES, "Update", "mine.json", "box", {**VISIBLE, "color": {"t": "s", "v": "blue"}}) == []
    assert json.loads(file.read_text()) == {
        "box": {"color": "blue", "odd": [1], "visible": True},
        "other": {"visible": True},
        "comment": 5,
    }
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(machines_d) == ["mine.json"]


def test_updates_that_come_together_are_all_done(home: Home, bus: Callable[..., BusClient]) -> None:
    client = bus()
    hosts = [f"host{number}" for number in range(20)]
    for host in hosts:
        client.say({"call": [*MACHINES, "Update", ["99.json", host, VISIBLE]], "id": host})
    assert [client.next() for _ in hosts] == [{"reply": [[]], "id": host} for host in hosts]
    assert set(machines(client)) == set(hosts)


def test_an_update_of_a_channel_that_closes_is_done_all_the_same(home: Home, start: Start) -> None:
    front = start().front_end
    watching, client = BusClient(front, "watching"), BusClient(front)
    watched(watching)
    client.say({"call": [*MACHINES, "Update", ["99.json", "box", VISIBLE]], "id": "1"})
    front.close("bus")
    assert next_machines(watching) == {"box": VISIBLE}
    assert front.commands("bus") == ["ready", "close"]


def test_only_a_plain_name_of_a_json_file_is_written(machines_d: Path, bus: Callable[..., BusClient]) -> None:
    client = bus()
    long = "x" * 251 + ".json"
    for name in ("../x.json", "/etc/x.json", "a/b.json", "x", "", ".json", ".x.json", "x.json/", long):
        error, text = client.fail(*MACHINES, "Update", name, "box", VISIBLE)
        assert error == ERROR + "InvalidArgs"
        assert "expected the plain name of a file" in text
    assert client.fail(*MACHINES, "Update", "x\0.json", "box", VISIBLE)[0] == ERROR + "InvalidArgs"
    assert os.listdir(machines_d) == []
    assert os.listdir(machines_d.parent) == ["machines.d"]


def test_a_property_is_a_plain_value(bus: Callable[..., BusClient]) -> None:
    client = bus()
    for value, told in [
        ({"t": "as", "v": []}, "found the type as"),
        ({"t": "t", "v": 2**63}, "found number 9223372036854775808"),
        ({"t": "v", "v": {"t": "s", "v": ""}}, "found the type v"),
        (True, "found true"),
    ]:
        error, text = client.fail(*MACHINES, "Update", "x.json", "box", {"p": value})
        assert error == ERROR + "InvalidArgs"
        assert told in text


def test_a_malformed_file_is_not_overwritten(machines_d: Path, bus: Callable[..., BusClient]) -> None:
    client = bus()
    for content in ("{", "[]", '{"box": 5}'):
        (machines_d / "x.json").write_text(content)
        error, text = client.fail(*MACHINES, "Update", "x.json", "box", VISIBLE)
        assert error == ERROR + "Failed"
        assert "x.json" in text
        assert (machines_d / "x.json").read_text() == content


def test_a_directory_that_cannot_be_written(home: Home, bus: Callable[..., BusClient]) -> None:
    (home.config_dir / "cockpit").write_text("a file")
    error, text = bus().fail(*MACHINES, "Update", "x.json", "box", VISIBLE)
    assert error == ERROR + "Failed"
    assert "Not a directory" in text or "File exists" in text


def test_lack_of_permission_has_an_error_of_its_own(bus: Callable[..., BusClient]) -> None:
    client = bus(environ={"XDG_CONFIG_DIRS": "/sys"})  # nobody makes a directory there, not even root
    assert client.fail(*MACHINES, "Update", "x.json", "box", VISIBLE)[0] == ERROR + "AccessDenied"


# Watching


def test_changes_on_disk_are_told(machines_d: Path, bus: Callable[..., BusClient]) -> None:
    client = bus()
    assert watched(client) == {}
    put(machines_d / "a.json", {"a": {"visible": True}})
    assert next_machines(client) == {"a": VISIBLE}
    (machines_d / "b.json").write_text('{"b": {}}')
    assert next_machines(client) == {"a": VISIBLE, "b": {}}
    (machines_d / "b.json").rename(machines_d / "b.json.off")
    assert next_machines(client) == {"a": VISIBLE}
    (machines_d / "c.json").symlink_to("b.json.off")
    assert next_machines(client) == {"a": VISIBLE, "b": {}}
    (machines_d / "a.json").unlink()
    assert next_machines(client) == {"b": {}}


def test_a_file_is_not_read_half_written(machines_d: Path, bus: Callable[..., BusClient]) -> None:
    client = bus()
    watched(client)
    with (machines_d / "a.json").open("w") as file:
        file.write('{"a": ')
        file.flush()
        put(machines_d / "b.json.txt", {})
        client.waiting()
        file.write('{"visible": true}}')
    assert next_machines(client) == {"a": VISIBLE}


def test_the_directory_may_come_and_go(home: Home, bus: Callable[..., BusClient]) -> None:
    client = bus()
    assert watched(client) == {}
    for host in ("one", "two"):
        directory = home.config_dir / "cockpit" / "machines.d"
        directory.mkdir(parents=True)
        put(directory / "a.json", {host: {}})
        assert next_machines(client) == {host: {}}
        (home.config_dir / "cockpit").rename(home.config_dir / f"cockpit-{host}")
        assert next_machines(client) == {}


WITHOUT_INOTIFY = """
import sys
sys.modules["inotify_simple"] = None
from spanbridge.__main__ import main
sys.exit(main())
"""


def test_without_anything_to_watch_with_it_works_all_the_same(home: Home, machines_d: Path) -> None:
    """And what changes on disk is seen when it is next asked for."""
    with starting(home, [sys.executable, "-I", "-c", WITHOUT_INOTIFY]) as start:
        _watches_nothing(start(), machines_d)


def _watches_nothing(bridge: Bridge, machines_d: Path) -> None:
    client = BusClient(bridge.front_end)
    assert watched(client) == {}
    bridge.log.wait('warning: machines why="import of inotify_simple halted.*: changes on disk are not noticed"')
    put(machines_d / "a.json", {"a": {}})
    assert machines(client) == {"a": {}}
    client.say({"call": [*MACHINES, "Update", ["b.json", "b", VISIBLE]], "id": "1"})
    assert next_machines(client) == {"a": {}, "b": VISIBLE}
    assert len(bridge.log.matches("warning: machines")) == 1
