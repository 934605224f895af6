"""The same requests to spanbridge and to the C cockpit-bridge, side by side."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.home import Home

from ..browser.parts import COCKPIT_BRIDGE, COCKPIT_SHELL, require
from . import differences as d
from .client import Client, packed, write_package
from .differences import Seen, comparable, expected, see

pytestmark = pytest.mark.cockpit

DOCS = Path(__file__).parents[2] / "docs" / "packages.md"
INSTALLED = Path(COCKPIT_SHELL).parents[1]
ORIGIN = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "front.example:9090"}
GZIP = {"Accept-Encoding": "gzip, deflate"}
PLAIN = {"Accept-Encoding": "identity"}


class Pair:
    """Both bridges on the same packages."""

    def __init__(self, ours: Client, theirs: Client) -> None:
        self.ours = ours
        self.theirs = theirs
        self.checksum = ours.get("/checksum").body.decode() or None

    def ask(self, path: str, headers: Mapping[str, str] | None = None, /, **members: object) -> tuple[Seen, Seen]:
        """What we answer, and what we are to answer if it differs only by what differs in any answer."""
        asked = headers or {}
        ours = see(path, asked, self.ours.get(path, asked, **members))
        theirs = see(path, asked, self.theirs.get(path, asked, **members))
        return ours, expected(path, asked, theirs, self.checksum)

    def check_alike(self, paths: list[str], headers: Mapping[str, str], /, **members: object) -> None:
        different = []
        for path in paths:
            ours, theirs = self.ask(path, headers, **members)
            if ours != theirs:
                different.append(f"{path} with {headers}:\n  ours   {ours}\n  theirs {theirs}")
        assert not different, "\n".join(different)


def start_pair(stack: ExitStack, home: Home, data_dir: Path) -> Pair:
    environ = {
        "XDG_DATA_DIRS": str(data_dir),
        # Theirs starts a bus and an agent where it finds none.
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={home.root}/no-bus",
        "SSH_AUTH_SOCK": f"{home.root}/no-agent",
    }
    clients = []
    for bridge in (Bridge(home, environ=environ), Bridge(home, environ=environ, command=[COCKPIT_BRIDGE])):
        stack.enter_context(bridge)
        bridge.front_end.expect("init", version=1)
        bridge.front_end.init()
        clients.append(Client(bridge.front_end))
    return Pair(*clients)


@pytest.fixture(scope="module")
def new_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    require(COCKPIT_BRIDGE, COCKPIT_SHELL)
    return Home(tmp_path_factory.mktemp("beside") / "home")


# The installed packages


@pytest.fixture(scope="module")
def installed(new_home: Home) -> Iterator[Pair]:
    """Both on what is installed in the system."""
    with ExitStack() as stack:
        yield start_pair(stack, new_home, INSTALLED.parent)


def installed_paths() -> list[str]:
    """Each file of the installed packages, as it is called and as it is asked for."""
    paths = set()
    for manifest in INSTALLED.glob("*/manifest.json"):
        name = json.loads(manifest.read_text()).get("name", manifest.parent.name)
        for file in manifest.parent.rglob("*"):
            if file.is_file():
                path = f"/{name}/{file.relative_to(manifest.parent)}"
                paths |= {path, path.removesuffix(".gz")}
    return sorted(paths)


@pytest.mark.parametrize("headers", [{**GZIP, **ORIGIN}, PLAIN, {}], ids=["gzip", "plain", "any"])
def test_every_file_of_the_installed_packages(installed: Pair, headers: dict[str, str]) -> None:
    paths = installed_paths()
    assert len(paths) > 100
    installed.check_alike(paths, headers)


def test_manifests_and_checksum_of_the_installed_packages(installed: Pair) -> None:
    assert installed.checksum is not None
    installed.check_alike(["/checksum"], ORIGIN)
    for path in ("/manifests.json", "/manifests.js"):
        for headers in (ORIGIN, GZIP, {"If-None-Match": '"$x"', "Pragma": "no-cache"}):
            ours, theirs = installed.ask(path, headers)
            assert comparable(ours.content) == comparable(theirs.content)
            assert ours.headers == theirs.headers
            assert ours.status == theirs.status == 200


def test_languages_of_the_installed_packages(installed: Pair) -> None:
    tags = ["", "de", "de-at", "DE", "pt-br", "pt", "zh-cn", "zh-tw", "zh", "nb-no", "en", "en-us", "en, de", "de, en"]
    tags += ["*", "xx", "xx-YY-ZZ", "de;q=0.1, fr;q=0.5", "de;q=0", "de;q=x, fr", " de ", ";;,,", "..", "../po", "de/x"]
    paths = ["/shell/po.js", "/*/po.js", "/shell/po.de.js", "/shell/index.js.LICENSE.txt"]
    for tag in tags:
        installed.check_alike(paths, {**PLAIN, "Accept-Language": tag})


# Packages with everything in them

KINDS = ["css", "eot", "gif", "html", "ico", "jpg", "jpeg", "js", "json", "map", "mjs", "otf", "pdf", "png", "svg"]
KINDS += ["ttf", "txt", "wasm", "webp", "woff", "woff2", "xml", "unknown"]
CONTENT: Mapping[str, bytes | str] = {
    "index.html": "<p>",
    "UP.HTML": "<p>",
    "a.js": "a",
    "b.min.js": "b.min.js",
    "b.js.gz": packed("b.js.gz"),
    "c.min.js": "c.min.js",
    "c.min.js.gz": packed("c.min.js.gz"),
    "d.min.js.gz": packed("d.min.js.gz"),
    "e.js.min": "e.js.min",
    "damaged.js.gz": "no gzip",
    "short.js.gz": packed("x" * 100)[:-12],
    "members.js.gz": packed("one") + packed("two"),
    "trailing.js.gz": packed("one") + b"rest",
    "empty.txt": "",
    "noext": "noext",
    ".hidden": "hidden",
    "a@b,c-d_e.js": "odd",
    "sub/deep/x.txt": "x",
    "sub/.h/x.js": "x",
    "sub/po.js": "po",
    "sub/po.de.js": "sub de",
    "po.de.js": "de",
    "po.de_AT.js.gz": packed("de_AT"),
    "po.fr.js.gz": packed("fr"),
    "po.zh.js": "zh",
    "po.zh-HK.js": "zh-HK",
    "only/po.it.js": "it",
    **{f"t.{kind}": kind for kind in KINDS},
}


def write_all(place: Path) -> Path:
    package = write_package(place, "pkg", CONTENT, **{"content-security-policy": "img-src *; script-src 'self' x"})
    (package / "link.js").symlink_to("a.js")
    (package / "linked").symlink_to("sub")
    (package / "dir.js").mkdir()
    write_package(place, "other", {"a.js": "other a", "index.html": "<b>", "po.de.js": "other de"}, name="named")
    write_package(place, "first", {"only.html": "<i>"}, **{"content-security-policy": "default-src *"})
    write_package(place, "upper", {"index.html": "<b>"}, **{"content-security-policy": "IMG-SRC *"})
    return package


class Case(NamedTuple):
    """A request that is answered in another way, and how."""

    difference: str
    path: str
    status: int
    content: bytes | None = None
    headers: Mapping[str, str] = {}


ALIKE = [
    *(f"/pkg/{name}" for name in CONTENT if name not in ("UP.HTML", "sub/po.js")),
    *("/pkg/c.js", "/pkg/d.js", "/pkg/d.min.js", "/pkg/link.js", "/pkg/linked/deep/x.txt"),
    *("/pkg/A.JS", "/pkg/b.css", "/pkg/a+b.js", "/pkg/a~b.js", "/pkg/a%20b.js", "/pkg/a.js%00", "/pkg/a.js#x"),
    *("/pkg/..", "/pkg/../pkg/a.js", "/pkg/sub/../a.js", "/pkg/po.js", "/pkg/only/po.js", "/pkg/po.js.gz", "/pkg"),
    *("/other/a.js", "/named/a.js", "/named/index.html", "/named", "/", "//", "/*", "/**/a.js", "/*/a.js"),
    *("/*/none.js", "/*/manifest.json", "/checksum", "/checksum/", "/manifests.json/x", "/none/a.js"),
    "/pkg/" + "x" * 300,
]
DIFFERENT = [
    Case(d.PATHS, "/pkg/a.js?x=1", 404),
    Case(d.PATHS, "/manifests.js?x", 404),
    Case(d.PATHS, "/pkg/a b.js", 404),
    Case(d.PATHS, "/pkg/\u00e4.js", 404),
    Case(d.PATHS, "", 404),
    Case(d.PATHS, "pkg/a.js", 404),
    Case(d.PATHS, "/*/", 404),
    Case(d.PATHS, "/pkg//a.js", 404),
    Case(d.PATHS, "/pkg/a..js", 404),
    Case(d.TYPES, "/pkg/UP.HTML", 200, b"<p>"),
    Case(d.ORDER, "/pkg/b.js", 200, b"b.js.gz"),
    Case(d.MIN, "/pkg/e.js", 200, b"e.js.min"),
    Case(d.DAMAGED, "/pkg/damaged.js", 500, headers=PLAIN),
    Case(d.DAMAGED, "/pkg/short.js", 0, headers=PLAIN),
    Case(d.MEMBERS, "/pkg/members.js", 200, b"onetwo", PLAIN),
    Case(d.CODINGS, "/pkg/d.js", 200, b"d.min.js.gz", {"Accept-Encoding": "gzip;q=0, *"}),
    Case(d.LANGUAGES, "/pkg/po.js", 200, b"fr", {"Accept-Language": "it, fr"}),
    Case(d.LANGUAGES, "/pkg/po.js", 200, b"fr", {"Accept-Language": "*, fr"}),
    Case(d.SPELLING, "/pkg/po.js", 200, b"de", {"Accept-Language": "de_CH"}),
    Case(d.SPELLING, "/pkg/po.js", 200, b"zh-HK", {"Accept-Language": "zh-hk"}),
    Case(d.I18N, "/manifests-i18n.js", 200),
    Case(d.ORIGINS, "/pkg/index.html", 200, b"<p>", {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "h; img-src x"}),
    Case(d.ALL_PAGES, "/*/only.html", 200, b"<i>"),
    Case(d.DIRECTIVES, "/upper/index.html", 200, b"<b>"),
]
OF_THE_SYSTEM = [Case(d.CACHED, "/pkg/sub/po.js", 200, b"po")]
OF_THE_USER = [  # where they look for a file afresh too, they go by other rules than for what they have listed
    Case(d.PATHS, "/pkg/sub//deep/x.txt", 404),
    Case(d.PATHS, "/pkg/./a.js", 404),
    Case(d.DIRECTORIES, "/pkg/", 404),
    Case(d.DIRECTORIES, "/pkg/sub", 404),
    Case(d.DIRECTORIES, "/pkg/sub/", 404),
    Case(d.DIRECTORIES, "/pkg/dir.js", 404),
    Case(d.DIRECTORIES, "/pkg/a.js/x", 404),
]


def check_different(both: Pair, cases: list[Case]) -> None:
    for case in cases:
        ours, theirs = both.ask(case.path, case.headers)
        assert (case.path, ours.status) == (case.path, case.status)
        if case.content is not None:
            assert (case.path, ours.content) == (case.path, case.content)
        assert ours != theirs, f"{case.path}: there is no difference: {case.difference}"


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Both on packages of the user with everything in them."""
    require(COCKPIT_BRIDGE)
    home = Home(tmp_path_factory.mktemp("user") / "home")
    package = write_all(home.data_home)
    (home.root / "outside.txt").write_text("outside")
    (package / "outside.txt").symlink_to(home.root / "outside.txt")
    (package / "dangling.js").symlink_to("nothing")
    (package / "latin1.txt").write_bytes("\u00e4".encode("latin-1"))
    with ExitStack() as stack:
        yield start_pair(stack, home, home.data_dir)


def test_awkward_requests_for_packages_of_the_user(user: Pair) -> None:
    assert user.checksum is None
    alike = [*ALIKE, "/pkg/dangling.js", "/pkg/outside.txt", *(case.path for case in OF_THE_SYSTEM)]
    for headers in (GZIP, PLAIN, {}, ORIGIN):
        user.check_alike(alike, headers)
    user.check_alike(["/pkg/trailing.js"], PLAIN)
    check_different(user, [*DIFFERENT, *OF_THE_USER])


def test_awkward_requests_for_packages_of_the_system(home: Home) -> None:
    require(COCKPIT_BRIDGE)
    write_all(home.data_dir)
    with ExitStack() as stack:
        both = start_pair(stack, home, home.data_dir)
        assert both.checksum is not None
        alike = [*ALIKE, *(case.path for case in OF_THE_USER)]
        for headers in (GZIP, PLAIN, {}, ORIGIN):
            both.check_alike(alike, headers)
        both.check_alike(["/pkg/trailing.js"], PLAIN)
        check_different(both, [*DIFFERENT, *OF_THE_SYSTEM])


def test_methods_and_data(user: Pair) -> None:
    answers = {
        method: [client.get("/pkg/a.js", method=method).status for client in (user.ours, user.theirs)]
        for method in ("POST", "HEAD", "get")
    }
    assert answers == {"POST": [400, 405], "HEAD": [400, 200], "get": [400, 405]}
    statuses = []
    for client in (user.ours, user.theirs):
        channel = client.ask("/pkg/a.js")
        client.front_end.send(channel, b"data")
        client.front_end.control("done", channel=channel)
        statuses.append(client.receive(channel).status)
    assert statuses == [400, 413]


def test_opens_that_are_no_requests(user: Pair) -> None:
    bad = [("path", ...), ("path", 5), ("method", ...), ("method", 5), ("headers", 5), ("headers", {"Accept": 5})]
    for member, value in bad:
        problems = [client.get("/pkg/a.js", **{member: value}).problem for client in (user.ours, user.theirs)]
        assert (member, problems) == (member, ["protocol-error"] * 2)


def test_http_stream2(user: Pair) -> None:
    user.check_alike(["/pkg/a.js", "/pkg/index.html", "/pkg/d.js", "/pkg/none"], GZIP, payload="http-stream2")


def test_channels_for_text(user: Pair) -> None:
    user.check_alike(["/pkg/a.js", "/pkg/d.js", "/pkg/none", "/pkg/latin1.txt"], {}, binary=...)
    ours, theirs = user.ask("/pkg/d.js", GZIP, binary=...)
    assert (ours.status, ours.content) == (200, b"d.min.js.gz")
    assert (theirs.status, theirs.reason) == (0, "protocol-error")


def test_packages_that_they_leave_out(home: Home) -> None:
    require(COCKPIT_BRIDGE)
    write_package(home.data_home, "policy", {"a.js": "a"}, **{"content-security-policy": 5})
    (write_package(home.data_dir, "dangling", {"a.js": "a"}) / "link").symlink_to("nothing")
    with ExitStack() as stack:
        both = start_pair(stack, home, home.data_dir)
        for name in ("policy", "dangling"):
            assert both.ours.get(f"/{name}/a.js").body == b"a"
            assert both.theirs.get(f"/{name}/a.js").status == 404


def test_the_docs_have_every_difference_that_is_meant() -> None:
    section = DOCS.read_text().partition("\n## Differences")[2].partition("\n## ")[0]
    first = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| ")]
    assert sorted(cell for cell in first if cell != "difference") == sorted(d.MEANT)
