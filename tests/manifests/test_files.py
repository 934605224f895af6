"""Whatever may lie where a manifest is looked for: no wait, no crash, one defect each."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest

from spanbridge.manifests.load import MAX_BYTES
from spanbridge.manifests.model import Catalog

from .manifest_tree import Tree, names

NOBODY = 65534


@pytest.fixture
def tree() -> Iterator[Tree]:
    # Not tmp_path: an ordinary user must be able to get in.
    with TemporaryDirectory(prefix="manifests-") as root:
        os.chmod(root, 0o755)  # noqa: S103
        yield Tree(Path(root))


def a_fifo(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    # Through the directory: the name of a socket may be no longer than 107 bytes.
    descriptor = os.open(path.parent, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"/proc/self/fd/{descriptor}/{path.name}")
    os.close(descriptor)


FILES: list[tuple[str, Callable[[Path], object], str]] = [
    ("a directory", lambda path: path.mkdir(), "found a directory, expected a file"),
    ("a FIFO", a_fifo, "found a FIFO, expected a file"),
    ("a socket", a_socket, "found a socket, expected a file"),
    ("a link to a device", lambda path: path.symlink_to("/dev/zero"), "found a character device, expected a file"),
    ("a terminal", lambda path: path.symlink_to("/dev/tty"), "expected a file|cannot be read: No such device"),
    ("a link to itself", lambda path: path.symlink_to(path), "cannot be read: Too many levels of symbolic links"),
    ("a link to nothing", lambda path: path.symlink_to("/nonexistent"), "found a link to nothing, expected a file"),
    ("an endless file of /proc", lambda path: path.symlink_to("/proc/self/mem"), "cannot be read"),
    ("a file of /proc that is not JSON", lambda path: path.symlink_to("/proc/self/maps"), "found|expected"),
]
CONTENTS: list[tuple[str, bytes, str]] = [
    ("empty", b"", "1:1: found an empty file"),
    ("only space", b" \n ", "2:2: the file ends"),
    ("cut short", b'{"a": [1,', "1:10: the file ends, expected a value"),
    ("not UTF-8", b'{"a":\n "\xff"}', "2:3: found byte 0xff, expected text in UTF-8"),
    ("UTF-16", '{"a": 1}'.encode("utf-16"), "1:1: found text in UTF-16 or the like, expected text in UTF-8"),
    ("UTF-16LE", '{"a": 1}'.encode("utf-16-le"), "1:1: found text in UTF-16 or the like, expected text in UTF-8"),
    ("UTF-16BE", '{"a": 1}'.encode("utf-16-be"), "1:1: found text in UTF-16 or the like, expected text in UTF-8"),
    ("UTF-32", '{"a": 1}'.encode("utf-32"), "1:1: found text in UTF-16 or the like, expected text in UTF-8"),
    ("two byte order marks", b"\xef\xbb\xbf\xef\xbb\xbf{}", "1:1: found a byte order mark"),
    ("a list", b"\n[]", "2:1: found an empty list, expected an object"),
    ("a string", b'"x"', '1:1: found string "x", expected an object'),
    ("null", b"null", "1:1: found null, expected an object"),
    ("NaN", b'{"priority": NaN}', "1:14: found NaN, expected a value"),
    ("a number too large", b'{"priority":\n1e400}', "2:1: found a number beyond 1.8e308"),
    ("a number too long", b'{"a": ' + b"9" * 5000 + b"}", "1:7: found a number of 5000 digits"),
    ("half a character", b'{"a": "\\ud800"}', "1:8: found \\ud800, one half of a character"),
    ("a comment", b"{\n  // note\n}", "2:3: found a comment"),
    ("single quotes", b"{'a': 1}", "1:2: found ', expected the name of a member in double quotes"),
    ("a comma at the end", b'{"a": 1,\n}', "2:1: found } after a comma"),
    ("no comma", b'{"a": 1\n"b": 2}', "2:1: found a string, expected ,"),
    ("two documents", b"{}\n{}", "2:1: found {, expected nothing more"),
    ("100,000 deep, without end", b'{"a":' + b"[" * 100_000, "1:69: found lists and objects nested deeper than 64"),
    ("100,000 deep", b"[" * 100_000 + b"]" * 100_000, "1:65: found lists and objects nested deeper than 64"),
    ("deeper than allowed", b'{"a":\n' + b"[" * 64 + b"]" * 64 + b"}", "2:64: found lists and objects nested deeper"),
    ("too large", b" " * (MAX_BYTES - 1) + b"{}", f"found {MAX_BYTES + 1} bytes, expected at most {MAX_BYTES}"),
]


def assert_one_defect(catalog: Catalog, file: Path, message: str) -> None:
    (defect,) = catalog.defects
    assert defect.file == str(file)
    assert any(part in str(defect) for part in message.split("|")), defect
    assert names(catalog) == ["good"]
    (hidden,) = catalog.hidden
    assert (hidden.path, hidden.reason) == (str(file.parent), f"unusable: {defect}")


@pytest.mark.parametrize(("make", "message"), [case[1:] for case in FILES], ids=[case[0] for case in FILES])
class TestInsteadOfAFile:
    def test_as_a_manifest(self, tree: Tree, make: Callable[[Path], object], message: str) -> None:
        tree.package("good")
        file = tree.first / "cockpit/bad/manifest.json"
        file.parent.mkdir()
        make(file)
        assert_one_defect(tree.load(), file, message)

    def test_as_an_override(self, tree: Tree, make: Callable[[Path], object], message: str) -> None:
        tree.package("good", {"version": 5})
        file = tree.etc / "cockpit/good.override.json"
        file.parent.mkdir(parents=True)
        make(file)
        catalog = tree.load()
        (defect,) = catalog.defects
        assert defect.file == str(file)
        assert any(part in str(defect) for part in message.split("|")), defect
        assert [(package.manifest, package.overrides) for package in catalog.packages] == [({"version": 5}, ())]


@pytest.mark.parametrize(("data", "message"), [case[1:] for case in CONTENTS], ids=[case[0] for case in CONTENTS])
def test_contents(tree: Tree, data: bytes, message: str) -> None:
    tree.package("good")
    file = tree.package("bad", data)
    assert_one_defect(tree.load(), file, message)


def test_as_deep_and_as_large_as_allowed(tree: Tree) -> None:
    tree.package("deep", b'{"a":' + b"[" * 63 + b"]" * 63 + b"}")
    tree.package("wide", b'{"a":[' + b",".join([b"[{}]"] * 1000) + b"]}")
    tree.package("large", b" " * (MAX_BYTES - 2) + b"{}")
    catalog = tree.load()
    assert (names(catalog), catalog.defects) == (["deep", "large", "wide"], ())
    assert [defect.message for defect in tree.load(max_bytes=100).defects] == [
        f"found {63 * 2 + 6} bytes, expected at most 100 bytes (manifest_bytes)",
        f"found {MAX_BYTES} bytes, expected at most 100 bytes (manifest_bytes)",
        f"found {5 * 1000 + 7} bytes, expected at most 100 bytes (manifest_bytes)",
    ]


def test_a_hundred_megabytes_are_not_read(tree: Tree) -> None:
    file = tree.package("bad")
    os.truncate(file, 100_000_000)
    tree.package("good")
    assert_one_defect(tree.load(), file, "found 100000000 bytes, expected at most 1048576 bytes (manifest_bytes)")


def test_a_file_that_says_it_is_empty_is_read_to_its_end_or_the_limit(tree: Tree) -> None:
    """Files of /proc have size 0, and so has one that is written to at this moment."""
    tree.package("good")
    file = tree.first / "cockpit/bad/manifest.json"
    file.parent.mkdir()
    file.symlink_to("/proc/kallsyms")
    assert_one_defect(tree.load(max_bytes=1000), file, "found more, expected at most 1000 bytes (manifest_bytes)")


def test_a_directory_that_is_a_link_to_itself(tree: Tree) -> None:
    tree.package("good")
    loop = tree.first / "cockpit/loop"
    loop.symlink_to(loop)
    assert_one_defect(tree.load(), loop / "manifest.json", "Too many levels of symbolic links")


def as_ordinary_user(function: Callable[[], Catalog]) -> Catalog:
    """What the function returns where permissions count: for uid 0 in a child that has given that up."""
    if os.getuid() != 0:
        return function()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            with open(writing, "wb") as stream:
                stream.write(msgspec.msgpack.encode(function()))
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as stream:
        result = stream.read()
    os.waitpid(child, 0)
    return msgspec.msgpack.decode(result, type=Catalog)


class TestUnreadable:
    def test_a_manifest(self, tree: Tree) -> None:
        tree.package("good")
        file = tree.package("bad")
        file.chmod(0)
        assert_one_defect(as_ordinary_user(tree.load), file, "cannot be read: Permission denied")

    def test_a_package_directory(self, tree: Tree) -> None:
        tree.package("good")
        file = tree.package("bad")
        file.parent.chmod(0)
        assert_one_defect(as_ordinary_user(tree.load), file, "cannot be read: Permission denied")
        file.parent.chmod(0o755)

    @pytest.mark.parametrize("which", ["first", "etc", "config"])
    def test_a_whole_directory(self, tree: Tree, which: str) -> None:
        directory: Path = getattr(tree, which) / "cockpit"
        directory.mkdir(parents=True)
        directory.chmod(0)
        tree.package("good", where=tree.second)
        catalog = as_ordinary_user(tree.load)
        assert [str(defect) for defect in catalog.defects] == [f"{directory}: cannot be read: Permission denied"]
        assert names(catalog) == ["good"]
        directory.chmod(0o755)


def broken_in_turn(number: int) -> bytes:
    """A different mistake for each number."""
    entry = b'{"match": {}, "spawn": ["x"], %s}'
    breaks = [
        *(data for _, data, _ in CONTENTS[:18]),
        b'{"name": 5}',
        b'{"name": ""}',
        b'{"priority": "5"}',
        b'{"conditions": {}}',
        b'{"conditions": [{}]}',
        b'{"conditions": [{"any": 5}]}',
        b'{"requires": []}',
        b'{"requires": {"cockpit": 5}}',
        b'{"require": {"cockpit": "x"}}',
        b'{"bridges": {}}',
        *(
            b'{"bridges": [' + entry % member + b"]}"
            for member in (
                b'"match": 5',
                b'"spawn": "x"',
                b'"environ": ["x"]',
                b'"directory": 5',
                b'"problem": 5',
                b'"timeout": true',
                b'"privileged": 1',
                b'"label": 5',
            )
        ),
    ]
    return breaks[number % len(breaks)]


def test_a_byte_order_mark_is_passed_over(tree: Tree) -> None:
    tree.package("a", b'\xef\xbb\xbf{"version": "1"}')
    (package,) = tree.load().packages
    assert package.manifest == {"version": "1"}


def test_a_thousand_packages_half_of_them_broken(tree: Tree) -> None:
    good = {"bridges": [{"match": {"payload": "x"}, "spawn": ["x"]}]}
    for number in range(500):
        tree.package(f"good{number}", good)
        tree.package(f"bad{number}", broken_in_turn(number))
    catalog = tree.load()
    assert len(catalog.rules) == 500
    assert len({defect.file for defect in catalog.defects}) == len(catalog.defects) == 500
    assert {f"good{number}" for number in range(500)} <= set(names(catalog))
