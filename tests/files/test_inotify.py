"""The session's inotify, and what goes while it is being watched."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from spanbridge.inotify import CREATE, Inotify

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_directory_that_goes_before_its_watch_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in its place then is watched."""
    place = tmp_path / "place"
    place.mkdir()
    inotify = Inotify(asyncio.get_running_loop(), 10)
    inotify.open()
    system: Any = inotify._inotify
    add_watch, added = system.add_watch, list[int]()

    def add_slowly(path: bytes, mask: int) -> int:
        """Comes back when the loop has read that the directory has gone."""
        added.append(add_watch(path, mask))
        if len(added) == 1:
            place.rmdir()
            inotify._readable()
            place.mkdir()
        return added[-1]

    monkeypatch.setattr(system, "add_watch", add_slowly)
    told: list[bytes] = []
    inotify.add(os.fsencode(place), CREATE, None, lambda watch, mask, name: told.append(name))
    (place / "new").touch()
    inotify._readable()
    assert told == [b"new"]
    inotify.close()
