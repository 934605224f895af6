"""What a path asks for."""

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spanbridge.payloads.packages.bounds import PATH_CHARS
from spanbridge.payloads.packages.paths import ALLOWED, FileTarget, is_name, read_path

NAMES = st.text(sorted(ALLOWED), min_size=1, max_size=8).filter(lambda name: name != "." and ".." not in name)


@given(NAMES, st.lists(NAMES, min_size=1, max_size=4))
def test_a_file_of_a_package(package: str, parts: list[str]) -> None:
    assert read_path("/" + "/".join([package, *parts])) == FileTarget(package, "/".join(parts))


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_a_file_of_every_package(parts: list[str]) -> None:
    assert read_path("/*/" + "/".join(parts)) == FileTarget("*", "/".join(parts))


@given(st.text())
@example("/shell/../shell/index.html")
@example("/shell/a..b")
@example("/shell//index.html")
@example("/shell/./index.html")
@example("/shell/index.html?x")
@example("/shell/index.html\0")
@example("/shell/%2e%2e/x")
@example("/shell/é")
@example("/shell/\u0661")
@example("/shell/x\n")
@example("/*/*")
@example("/shell/*")
@example("//x")
@example("shell/x")
def test_a_path_that_is_taken_has_nothing_but_names_in_it(path: str) -> None:
    target = read_path(path)
    if isinstance(target, FileTarget):
        assert path == f"/{target.package}/{target.file}"
        for part in [*target.file.split("/"), *([] if target.package == "*" else [target.package])]:
            assert part
            assert part != "."
            assert ".." not in part
            assert set(part) <= set(string.ascii_letters + string.digits + "-_.,@")
    elif target is not None:
        assert target == path


@pytest.mark.parametrize("path", ["/manifests.json", "/manifests.js", "/manifests-i18n.js", "/checksum"])
def test_paths_about_all_packages(path: str) -> None:
    assert read_path(path) == path
    assert read_path(f"{path}/") is None
    assert read_path(f"/{path}") is None


@pytest.mark.parametrize(
    "path", ["", "/", "/shell", "/shell/", "//", "/*", "/*/", "/**/a.js", "/shell/a b", "/shell/a+b"]
)
def test_paths_that_ask_for_nothing(path: str) -> None:
    assert read_path(path) is None


def test_the_length_of_a_path_is_bounded() -> None:
    longest = "/shell/" + "x" * (PATH_CHARS - len("/shell/"))
    assert read_path(longest) is not None
    assert read_path(longest + "x") is None


def test_a_name_is_a_name() -> None:
    assert is_name(".hidden")
    assert not is_name("")
