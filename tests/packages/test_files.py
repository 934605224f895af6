"""What there is in a package directory, and what is not."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.payloads.packages.files import MissingError, names_in, open_file
from spanbridge.payloads.packages.listing import Listing, list_files
from spanbridge.payloads.packages.lookup import variants


def content(directory: Path, name: str) -> str:
    descriptor = open_file(str(directory), name)
    with open(descriptor) as file:
        return file.read()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package directory with links of every kind."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    package = tmp_path / "package"
    (package / "sub" / "deep").mkdir(parents=True)
    (package / "a").write_text("a")
    (package / "sub" / "b").write_text("b")
    (package / "sub" / "deep" / "c").write_text("c")
    (package / "link").symlink_to("a")
    (package / "linked-sub").symlink_to("sub")
    (package / "round").symlink_to("sub/..")
    (package / "sub" / "up").symlink_to("..")
    (package / "absolute").symlink_to(package / "a")
    (package / "secret").symlink_to("../outside/secret")
    (package / "outside").symlink_to(tmp_path / "outside")
    (package / "beside").symlink_to("../package-b/x")
    (package / "dangling").symlink_to("nothing")
    (package / "circle").symlink_to("circle")
    os.mkfifo(package / "fifo")
    (package / "device").symlink_to("/dev/null")
    (tmp_path / "package-b").mkdir()
    (tmp_path / "package-b" / "x").write_text("x")
    return package


OUTSIDE = {"secret": "secret", "outside/secret": "secret", "beside": "x"}
NOT_THERE = ["", "nothing", "a/x", "sub", "dangling", "circle", "fifo", "device", "x" * 300, "x/" * 3000]


@pytest.mark.parametrize("name", ["a", "link", "absolute", "round/a", "sub/up/a"])
def test_links_within_a_package_are_followed(package: Path, name: str) -> None:
    assert content(package, name) == "a"


@pytest.mark.parametrize("name", OUTSIDE)
def test_links_that_leave_it_are_followed_too(package: Path, name: str) -> None:
    """So packages are installed by stow, by Nix, and from the ConfigMaps of Kubernetes."""
    assert content(package, name) == OUTSIDE[name]


@pytest.mark.parametrize("name", NOT_THERE)
def test_nothing_else_is_opened(package: Path, name: str) -> None:
    with pytest.raises(MissingError):
        open_file(str(package), name)


@pytest.mark.parametrize("name", ["nothing", "a", "circle"])
def test_what_is_no_directory_is_not_listed(package: Path, name: str) -> None:
    with pytest.raises(MissingError):
        names_in(str(package), name)


def test_directories_are_listed(package: Path) -> None:
    assert sorted(names_in(str(package), "linked-sub")) == ["b", "deep", "up"]
    assert "a" in names_in(str(package), "")
    assert names_in(str(package), "outside") == ["secret"]


def test_a_package_that_was_installed_as_a_link(package: Path, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    installed.symlink_to(package)
    assert content(installed, "a") == "a"
    assert content(installed, "outside/secret") == "secret"
    assert list_files(str(installed)).directories["outside"] == {"secret"}
    with pytest.raises(MissingError):
        open_file(str(installed), "device")


def test_a_listing_has_what_can_be_opened(package: Path) -> None:
    listing = list_files(str(package))
    assert listing.complete
    assert not listing.unlisted
    files = list(listing.files())
    assert {"a", "link", "absolute", "sub/b", "sub/deep/c", "linked-sub/b", *OUTSIDE} <= set(files)
    assert not set(NOT_THERE) & set(files)
    for file in files:
        os.close(open_file(str(package), file))


def test_a_listing_does_not_run_in_circles(package: Path) -> None:
    directories = list_files(str(package)).directories
    assert "round" not in directories
    assert "sub/up" not in directories


def test_names_that_cannot_be_asked_for_are_not_listed(tmp_path: Path) -> None:
    for name in ["good", "a b", "a+b", "..a", "ä", "a\nb"]:
        (tmp_path / name).touch()
    (tmp_path / os.fsdecode(b"\xff")).touch()
    (tmp_path / "b c").mkdir()
    (tmp_path / "b c" / "good").touch()
    assert list(list_files(str(tmp_path)).files()) == ["good"]


def test_a_listing_that_grows_too_long_says_so_and_leaves_the_rest_to_the_file_system(tmp_path: Path) -> None:
    for directory in ("a", "b"):
        (tmp_path / directory).mkdir()
        for number in range(5):
            (tmp_path / directory / str(number)).touch()
    listing = list_files(str(tmp_path), limit=8)
    assert not listing.complete
    assert sorted([*listing.directories, *listing.unlisted]) == ["", "a", "b"]
    assert all(listing.may_have(f"{directory}/{number}") for directory in ("a", "b") for number in range(5))
    assert not listing.may_have("x")


def test_a_listing_ends_when_it_is_told_to(package: Path) -> None:
    class Stop(Exception):
        pass

    def checkpoint() -> None:
        raise Stop

    with pytest.raises(Stop):
        list_files(str(package), checkpoint)


def test_what_is_in_an_unlisted_directory_is_not_known() -> None:
    listing = Listing({"": frozenset({"a"}), "b": frozenset()}, frozenset({"b/c"}), True)
    assert [name for name in ["a", "x", "b/x", "b/c/x", "b/c/d/x", "b/cc/x"] if listing.may_have(name)] == [
        "a",
        "b/c/x",
        "b/c/d/x",
    ]
    assert Listing({}, frozenset({""}), True).may_have("x/y")


@pytest.mark.parametrize(
    ("file", "names"),
    [
        (
            "sub/test.js",
            [
                "sub/test.js",
                "sub/test.js.gz",
                "sub/test.min.js",
                "sub/test.min.js.gz",
                "sub/test.js.min",
                "sub/test.js.min.gz",
            ],
        ),
        ("README", ["README", "README.gz", "README.min", "README.min.gz"]),
        ("v1.2/README", ["v1.2/README", "v1.2/README.gz", "v1.2/README.min", "v1.2/README.min.gz"]),
    ],
)
def test_names_a_file_may_have(file: str, names: list[str]) -> None:
    assert variants(file) == names


@given(st.text("a./", min_size=1))
def test_the_file_itself_comes_first(file: str) -> None:
    assert variants(file)[0] == file
