"""Which paths are served, and which never are."""

import json
import os
import shutil
from pathlib import Path

import pytest

from spanbridge.testing.bridge import SPANBRIDGE, Bridge
from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start

from .client import COMMON, Client, write_package
from .conftest import Ask

PLACES = pytest.mark.parametrize("place", ["data_home", "data_dir"])


NO_FILES = [
    "",
    "/",
    "/pkg",
    "/pkg/",
    "pkg/a.js",
    "x",
    "//pkg/a.js",
    "/pkg//a.js",
    "/pkg/a.js/",
    "/pkg/./a.js",
    "/pkg/../pkg/a.js",
    "/pkg/sub/../a.js",
    "/pkg/..",
    "/pkg/a..js",
    "/pkg/%61.js",
    "/pkg/a.js?x=1",
    "/pkg/a.js#x",
    "/pkg/a b.js",
    "/pkg/a+b.js",
    "/pkg/\u00e4.js",
    "/pkg/a.js\0",
    "/pkg/A.JS",
    "/pkg/b.js",
    "/pkg/a.js/x",
    "/pkg/sub",
    "/pkg/fifo",
    "/pkg/dangling",
    "/pkg/circle",
    "/pkg/device",
    "/other/a.js",
    "/directory/a.js",
    "/./a.js",
    "/*",
    "/*/",
    "/*/sub//c.js",
    "/checksum/",
    "/manifests.json/x",
    "/pkg/" + "x" * 300,
    "/pkg/" + "x/" * 2_500 + "x",
]


def write_traps(home: Home, place: Path) -> None:
    """Package `pkg` with files of every kind beside a good one, and things outside that it has links to."""
    outside = home.root / "outside"
    outside.mkdir()
    (outside / "outside.txt").write_text("outside")
    files = {"a.js": "a", "sub/c.js": "c", "a b.js": "", "a+b.js": "", "\u00e4.js": "", "a..js": ""}
    package = write_package(place, "pkg", files)
    (package / "outside.txt").symlink_to(outside / "outside.txt")
    (package / "elsewhere").symlink_to(outside)
    (package / "dangling").symlink_to("nothing")
    (package / "circle").symlink_to("circle")
    (package / "device").symlink_to("/dev/zero")
    os.mkfifo(package / "fifo")
    write_package(place, "directory", {"a.js": "a"}, name="named")


@PLACES
def test_links_are_followed_wherever_they_lead(home: Home, ask: Ask, place: str) -> None:
    write_traps(home, getattr(home, place))
    client = ask()
    for path in ("/pkg/outside.txt", "/pkg/elsewhere/outside.txt"):
        assert client.get(path).body == b"outside"


@PLACES
def test_what_is_no_file_is_not_found(home: Home, ask: Ask, place: str) -> None:
    write_traps(home, getattr(home, place))
    client = ask()
    found = {path: client.get(path) for path in NO_FILES}
    assert {path: response.status for path, response in found.items()} == dict.fromkeys(NO_FILES, 404)
    for response in found.values():
        assert response.head["reason"] == "Not Found"
        assert response.headers["Content-Type"] == "text/plain"
        assert {*COMMON.items()} <= {*response.headers.items()}
        assert response.body == b"Not Found: there is no such file, or no such package\n"
        assert response.commands == ["ready", "done", "close"]


@PLACES
def test_files_that_are_there(home: Home, ask: Ask, place: str) -> None:
    files = ["a.js", "README", ".hidden", "x,y@z_0-1.css", "sub/deep/a.js", "sub/.h/a.js"]
    package = write_package(getattr(home, place), "pkg", {file: f"this is {file}" for file in files})
    (package / "link").symlink_to("sub")
    (package / "link.js").symlink_to("sub/deep/a.js")
    client = ask()
    for file in files:
        assert client.get(f"/pkg/{file}").body == f"this is {file}".encode()
    assert client.get("/pkg/link/deep/a.js").body == b"this is sub/deep/a.js"
    assert client.get("/pkg/link.js").body == b"this is sub/deep/a.js"
    assert json.loads(client.get("/pkg/manifest.json").body) == {}


@PLACES
def test_a_package_goes_by_its_name(home: Home, ask: Ask, place: str) -> None:
    write_package(getattr(home, place), "directory", {"a.js": "a"}, name="named")
    client = ask()
    assert client.get("/named/a.js").body == b"a"
    assert client.get("/directory/a.js").status == 404


@PLACES
def test_a_package_installed_as_a_link_may_link_elsewhere(home: Home, ask: Ask, place: str) -> None:
    checkout = home.root / "checkout"
    shutil.copytree(write_package(home.root / "made", "pkg", {"a.js": "a"}), checkout / "dist")
    (checkout / "b.js").write_text("b")
    (checkout / "dist" / "b.js").symlink_to("../b.js")
    packages = getattr(home, place) / "cockpit"
    packages.mkdir()
    (packages / "pkg").symlink_to(checkout / "dist")
    client = ask()
    assert client.get("/pkg/a.js").body == b"a"
    assert client.get("/pkg/b.js").body == b"b"


@pytest.fixture
def unprivileged() -> list[str]:
    """A command that starts another one which file modes hold for, be the tests run by root or not."""
    if os.getuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    assert setpriv is not None, "expected setpriv of util-linux, to run a bridge as root that may not read everything"
    return [setpriv, "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-dac_override,-dac_read_search"]


@PLACES
def test_what_cannot_be_read_is_forbidden(home: Home, unprivileged: list[str], place: str) -> None:
    files = {
        "a.js": "a",
        "b.js": "b",
        "b.js.gz": "not taken",
        "shut/c.js": "c",
        "hidden/d.js": "d",
        "po/po.de.js": "po",
    }
    package = write_package(getattr(home, place), "pkg", files)
    write_package(getattr(home, place), "q", {"b.js": "of q"})
    modes = {"b.js": 0, "shut": 0, "hidden": 0o111}
    for name, mode in modes.items():
        (package / name).chmod(mode)
    try:
        with Bridge(home, command=[*unprivileged, str(SPANBRIDGE)]) as bridge:
            bridge.front_end.init()
            client = Client(bridge.front_end)
            assert client.get("/pkg/a.js").status == 200
            forbidden = client.get("/pkg/b.js")
            assert (forbidden.status, forbidden.head["reason"]) == (403, "Forbidden")
            assert client.get("/pkg/shut/c.js").status == 403
            assert client.get("/pkg/hidden/d.js").body == b"d"
            assert client.get("/pkg/hidden/x.js").status == 404
            assert client.get("/*/b.js").body == b"of q"
            assert bridge.log.matches("package-file-left-out.*package=pkg file=b.js")
    finally:
        for name in modes:
            (package / name).chmod(0o755)


def test_what_fails_to_be_read_is_left_out_of_all(home: Home, start: Start) -> None:
    """Those behind it are there all the same."""
    (write_package(home.data_home, "a", {}) / "x.js").symlink_to("/proc/self/mem")  # reads of its beginning fail
    write_package(home.data_home, "b", {"x.js": "b"})
    bridge = start()
    client = Client(bridge.front_end)
    assert client.get("/a/x.js").status == 500
    response = client.get("/*/x.js")
    assert (response.status, response.body, response.problem) == (200, b"b", None)
    assert bridge.log.matches("package-file-left-out.*package=a")
