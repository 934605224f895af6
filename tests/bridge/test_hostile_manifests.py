"""A bridge among manifests that are broken in every way there is: it starts, says so, and serves by the good ones."""

import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from spanbridge.manifests.model import Rule
from spanbridge.testing import processes
from spanbridge.testing.bridge import Bridge
from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import helper_rule, init, serve
from tests.manifests.test_files import CONTENTS, FILES, a_fifo

MIB = 1 << 20
GOOD = [init(), serve()]
LINE_BYTES = 4_100  # of the log, at most

KINDS: dict[str, Any] = {"null": None, "bool": True, "number": 5, "string": "x", "list": [5], "object": {"a": 5}}
OF_A_BRIDGE = {
    "match": "object",
    "spawn": "list",
    "environ": "list",
    "directory": "string",
    "problem": "string",
    "timeout": "number",
    "privileged": "bool",
    "label": "string",
    "method": "",
    "polkit": "bool",
}
OF_A_PACKAGE = {
    "name": "string",
    "priority": "number",
    "conditions": "list",
    "requires": "object",
    "require": "object",
    "bridges": "list",
}
ODD_IN_A_BRIDGE: list[tuple[str, Any]] = [
    ("spawn", []),
    ("spawn", [5]),
    ("spawn", [""]),
    ("spawn", ["x", None]),
    ("spawn", ["x", "a\0b"]),
    ("environ", [5]),
    ("environ", ["x"]),
    ("environ", ["=x"]),
    ("environ", ["A=\0"]),
    ("directory", "a\0b"),
    ("problem", "a\0b"),
    ("label", "a\0b"),
    ("timeout", -1),
    ("privileged", True),  # and has a match
]
ODD_IN_A_PACKAGE: list[tuple[str, Any]] = [
    ("name", ""),
    ("name", "a/b"),
    ("name", "a\n\x1b[2Jb"),
    ("conditions", [5]),
    ("conditions", [{}]),
    ("conditions", [{"any": 5}]),
    ("conditions", [{"any": [{"path-exists": 5}]}]),
    ("conditions", [{"path-exists": "/", "path-not-exists": "/"}]),
    ("requires", {"cockpit": "new"}),
    ("require", {"cockpit": 5}),
    ("bridges", ["x"]),
    ("bridges", [{}]),
    ("bridges", [{"match": {}}]),
    ("bridges", [{"spawn": ["x"]}]),
    ("bridges", [{"privileged": True, "spawn": ["${a}"]}]),
]


def wrong(kinds: dict[str, str], odd: list[tuple[str, Any]]) -> Iterator[dict[str, Any]]:
    """A member each: of every kind but its own, then of its own."""
    for member, right in kinds.items():
        yield from ({member: value} for kind, value in KINDS.items() if kind != right)
    yield from ({member: value} for member, value in odd)


def broken() -> list[bytes | Callable[[Path], object]]:
    """Every way to break a manifest: its text, or what makes something else of the file."""
    ways: list[bytes | Callable[[Path], object]] = [data for _, data, _ in CONTENTS]
    ways += [make for _, make, _ in FILES]
    ways += [json.dumps(members).encode() for members in wrong(OF_A_PACKAGE, ODD_IN_A_PACKAGE)]
    ways += [
        json.dumps({"bridges": [{"match": {}, "spawn": ["x"], **members}]}).encode()
        for members in wrong(OF_A_BRIDGE, ODD_IN_A_BRIDGE)
    ]
    return ways


def test_every_member_is_among_them() -> None:
    of_a_rule = set(Rule.__struct_fields__) - {"package", "position", "source"}
    assert set(OF_A_BRIDGE) == of_a_rule


def check_good(bridge: Bridge, *payloads: str) -> None:
    """Helpers of these are started, and serve."""
    front = bridge.front_end
    for payload in payloads:
        front.open(payload, payload)
        front.expect("ready", payload)
        front.send(payload, b"alive")
        assert front.data(payload, 5) == b"alive"
        front.close(payload)
        front.expect("close", payload)
    assert "Traceback" not in bridge.log.text
    assert "unforeseen" not in bridge.log.text


def warned(bridge: Bridge) -> list[str]:
    """The lines of the log about manifests."""
    lines = bridge.log.matches(r"(warning|error): manifest ")
    assert max(map(len, bridge.log.lines)) <= LINE_BYTES
    assert all(line.isprintable() for line in bridge.log.lines)
    return lines


def write_broken(home: Home, name: str, way: bytes | Callable[[Path], object]) -> None:
    directory = home.data_home / "cockpit" / name
    directory.mkdir(parents=True)
    if isinstance(way, bytes):
        (directory / "manifest.json").write_bytes(way)
    else:
        way(directory / "manifest.json")


def test_a_thousand_packages_half_of_them_broken(home: Home, start: Start) -> None:
    """One line of the log for each that is broken; a reload finds the same again."""
    ways = broken()
    assert len(ways) > 100
    for number in range(500):
        home.package(f"good-{number}", helper_rule({"payload": f"good-{number}"}, GOOD))
        write_broken(home, f"bad-{number}", ways[number % len(ways)])
    bridge = start(handshake=False)
    packages = bridge.front_end.expect("init")["packages"]
    bridge.front_end.init()
    assert {f"good-{number}" for number in range(500)} <= set(packages)
    check_good(bridge, "good-0", "good-250", "good-499")
    for times in (1, 2):
        named = [re.search(r"/bad-(\d+)", line) for line in warned(bridge)]
        assert sorted(int(found[1]) for found in named if found) == sorted([*range(500)] * times)
        assert len(named) == 500 * times
        bridge.reload()
    check_good(bridge, "good-1")


def test_ten_thousand_wrong_entries_in_one_manifest(home: Home, start: Start) -> None:
    """A hundred are told of, and the number of the others; the good one among them serves."""
    entries: list[Any] = [{"match": {}, "spawn": 5}] * 5_000
    home.package("bad", *entries, helper_rule({"payload": "good"}, GOOD), *entries)
    bridge = start()
    check_good(bridge, "good")
    lines = warned(bridge)
    assert len(lines) == 101
    assert "9900 more entries are wrong" in lines[-1]


# Links


def around(path: Path) -> None:
    """A loop of two."""
    other = path.with_name(".other")
    other.symlink_to(path)
    path.symlink_to(other)


def upwards(path: Path) -> None:
    """The directory that it lies in."""
    path.symlink_to(".")


def deep(path: Path) -> None:
    """More links than the kernel follows, to a good manifest."""
    target = path.with_name(".target")
    target.write_text("{}")
    for number in range(50):
        link = path.with_name(f".link-{number}")
        link.symlink_to(target)
        target = link
    path.symlink_to(target)


@pytest.mark.parametrize("make", [around, upwards, deep, a_fifo])
@pytest.mark.parametrize("where", ["manifest", "package", "override", "user's override"])
def test_links_that_lead_nowhere(home: Home, start: Start, where: str, make: Callable[[Path], None]) -> None:
    """As a file, as a directory: told of at most once, and the others serve."""
    home.package("good", helper_rule({"payload": "good"}, GOOD))
    bad = home.data_home / "cockpit/bad"
    path = {
        "manifest": bad / "manifest.json",
        "package": bad,
        "override": home.data_home / "cockpit/good/override.json",
        "user's override": home.config_home / "cockpit/good.override.json",
    }[where]
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path)
    bridge = start()
    check_good(bridge, "good")
    assert len(warned(bridge)) <= 1
    if where != "package":
        assert str(path) in warned(bridge)[0]


def test_a_data_directory_that_leads_to_itself(home: Home, start: Start) -> None:
    """All packages of the other one serve."""
    loop = home.data_home / "cockpit"
    loop.symlink_to(loop)
    system = home.data_dir / "cockpit/good"
    system.mkdir(parents=True)
    (system / "manifest.json").write_text(json.dumps({"bridges": [helper_rule({"payload": "good"}, GOOD)]}))
    bridge = start()
    check_good(bridge, "good")
    (line,) = warned(bridge)
    assert f"{loop}: cannot be read" in line


def test_a_fifo_that_somebody_holds_open(home: Home, start: Start) -> None:
    """Whoever read it would wait for ever."""
    home.package("good", helper_rule({"payload": "good"}, GOOD))
    write_broken(home, "bad", a_fifo)
    fd = os.open(home.data_home / "cockpit/bad/manifest.json", os.O_RDWR)
    try:
        bridge = start()
        check_good(bridge, "good")
        bridge.reload()
        assert len(warned(bridge)) == 2
    finally:
        os.close(fd)


@pytest.mark.root
@pytest.mark.parametrize(("major", "minor"), [(1, 5), (1, 7), (5, 0), (1, 8)], ids=["zero", "full", "tty", "random"])
def test_devices(home: Home, start: Start, major: int, minor: int) -> None:
    if os.getuid():
        pytest.skip("needs uid 0")
    home.package("good", helper_rule({"payload": "good"}, GOOD))
    write_broken(home, "bad", lambda path: os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(major, minor)))
    bridge = start()
    check_good(bridge, "good")
    (line,) = warned(bridge)
    assert "bad/manifest.json" in line


# Size


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("name", ["manifest.json", "override.json"])
def test_a_hundred_megabytes(home: Home, start: Start, name: str, sparse: bool) -> None:
    """Not read, be they really there or not."""
    home.package("good", helper_rule({"payload": "good"}, GOOD))
    file = home.data_home / "cockpit" / ("good" if name == "override.json" else "bad") / name
    file.parent.mkdir(exist_ok=True)
    with file.open("wb") as out:
        out.write(b'{"bridges": [')
        if sparse:
            out.truncate(100_000_000)
        else:
            for _ in range(100):
                out.write(b'"' + b"x" * 999_997 + b'",')
    bridge = start()
    check_good(bridge, "good")
    (line,) = warned(bridge)
    assert str(file) in line
    assert "expected at most 1048576 bytes" in line
    assert processes.peak_bytes(bridge.pid) < 64 * MIB
    file.unlink()


def test_a_manifest_as_large_as_it_may_be(home: Home, start: Start) -> None:
    """And full: of bridges, all of them wrong, of conditions and of members that nobody knows."""
    home.package("good", helper_rule({"payload": "good"}, GOOD))
    home.write_manifest("wrong", '{"bridges": [' + "5," * 100_000 + "5]}")
    home.write_manifest("wide", "{" + ",".join(f'"{number:x}":0' for number in range(100_000)) + "}")
    home.write_manifest("odd", '{"conditions": [' + '{"x":1},' * 100_000 + '{"x":1}]}')
    bridge = start()
    check_good(bridge, "good")
    assert len(warned(bridge)) == 2 * 101
    assert processes.peak_bytes(bridge.pid) < 256 * MIB
