"""Whatever is done to a tree: what a watching front end has at last is what a fresh look tells."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .client import Files, Watched

_NAMES: Final = ("a", "b", "c")
_PATHS: Final = [*_NAMES, *(f"{one}/{other}" for one in _NAMES for other in _NAMES), "a/b/c", "a/a/a"]
_ATTRS: Final = ("type", "mode", "size", "uid", "target", "entries", "targets")

Operation = tuple[str, str, str]
OPERATIONS: Final[dict[str, Callable[[Path, Path], object]]] = {
    "write": lambda path, other: path.write_text(other.name * 3),
    "append": lambda path, other: path.open("a").write("x"),
    "mkdir": lambda path, other: path.mkdir(),
    "remove": lambda path, other: shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(),
    "rename": lambda path, other: path.rename(other),
    "symlink": lambda path, other: path.symlink_to(other),
    "relative": lambda path, other: path.symlink_to(os.path.relpath(other, path.parent)),
    "hardlink": lambda path, other: path.hardlink_to(other),
    "swap": lambda path, other: _swap(path, other),
    "chmod": lambda path, other: path.chmod(0o700 if path.stat().st_mode & 0o070 else 0o770),
    "truncate": lambda path, other: os.truncate(path, 1),
}


_OPERATION: Final = st.tuples(st.sampled_from(sorted(OPERATIONS)), st.sampled_from(_PATHS), st.sampled_from(_PATHS))


def _swap(path: Path, other: Path) -> None:
    """A link in place of what is there, without a moment in between."""
    new = path.with_name("new")
    new.symlink_to(other)
    new.rename(path)


def plain(value: Any) -> Any:
    """Without what no event tells: sizes of directories; of entries that have other names, and of targets, all."""
    info = value.get("info", {})
    for told in (info, *info.get("entries", {}).values()):
        if told.get("type") == "dir":
            told.pop("size", None)
        elif told is not info and told.get("type") == "reg":
            told.pop("size", None)
            told.pop("mode", None)
    for name in info.get("targets", {}):
        info["targets"][name] = {}
    return value


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    watched=st.lists(st.sampled_from(_PATHS), min_size=1, max_size=4, unique=True),
    batches=st.lists(
        st.lists(
            st.tuples(st.sampled_from(sorted(OPERATIONS)), st.sampled_from(_PATHS), st.sampled_from(_PATHS)),
            max_size=12,
        ),
        min_size=1,
        max_size=3,
    ),
)
@pytest.mark.timeout(300)
def test_what_is_watched_is_what_is_there(shared: Files, watched: list[str], batches: list[list[Operation]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "a" / "b").mkdir(parents=True)
        (root / "a" / "b" / "c").write_text("x")
        (root / "b").symlink_to("a/b")
        watches = [Watched(shared, root / path, *_ATTRS) for path in watched]
        for watch in watches:
            watch.wait(bool)
        for batch in batches:
            for operation, path, other in batch:
                with contextlib.suppress(OSError, shutil.Error):
                    OPERATIONS[operation](root / path, root / other)
            for path, watch in zip(watched, watches, strict=True):
                _agree(shared, root / path, watch)
        for watch in watches:
            shared.front_end.close(watch.channel)
            shared.answer(watch.channel)


def _agree(files: Files, path: Path, watch: Watched) -> None:
    # Links that a target leads through are not watched: whether it is there may have changed.
    def same(value: Any) -> bool:
        told, found = plain(value), plain(fresh)
        for each in (told, found):
            each.get("info", {}).pop("targets", None)
        return bool(told == found)

    fresh = files.look(path, *_ATTRS)
    watch.wait(lambda value: same(_copy(value)))


def _copy(value: Any) -> Any:
    return {name: _copy(each) for name, each in value.items()} if isinstance(value, dict) else value
