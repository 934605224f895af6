"""A file system that never answers holds up those alone who ask it."""

from pathlib import Path
from typing import Any

import pytest

from spanbridge.testing.deadline import Deadline
from spanbridge.testing.home import Home

from .client import Files, Watched
from .surroundings import bridge_in, silent_mount

PAYLOADS = ("fsread1", "fsreplace1", "fsinfo", "fswatch1", "fslist1")


def options_of(payload: str, *, watch: bool = False) -> dict[str, Any]:
    """With which an open looks at its path at once."""
    if payload == "fsinfo":
        return {"attrs": ["type"], "watch": watch}
    return {"size": 1} if payload == "fsreplace1" else {}


def hang(files: Files, directory: Path, number: int) -> str:
    """Open a channel that waits for the file system on `directory`."""
    payload = PAYLOADS[number % len(PAYLOADS)]
    return files.open(payload, directory / f"file-{number}", **options_of(payload, watch=number % 2 == 0))


def test_fifty_channels_wait_and_no_other_does(home: Home, tmp_path: Path) -> None:
    dead, alive = tmp_path / "dead", tmp_path / "alive"
    dead.mkdir()
    with bridge_in(home, silent_mount(dead)) as (bridge, files):
        front_end = files.front_end
        waiting = [hang(files, dead, number) for number in range(50)]
        assert files.replace(alive, b"content").problem is None
        assert files.read(alive).data == b"content"
        assert files.look(alive, "size") == {"info": {"size": 7}}
        watched = Watched(files, alive, "size")
        watched.wait({"info": {"size": 7}})
        alive.write_text("more content")
        watched.wait({"info": {"size": 12}})
        assert "file-" not in str([frame for channel in waiting for frame in front_end.of(channel) if frame.channel])
        for channel in waiting[:25]:
            front_end.close(channel)
            assert files.answer(channel).close == {"command": "close", "channel": channel}
        assert files.read(alive).data == b"more content"
        front_end.hang_up()
        front_end.read_to_end()
        assert bridge.wait() == 0


def test_those_that_wait_have_no_place(home: Home, tmp_path: Path) -> None:
    """With two places, two that hang delay the third by no more than the time that they have."""
    dead = tmp_path / "dead"
    dead.mkdir()
    with bridge_in(home, silent_mount(dead), limits={"file_jobs": 2, "file_job_seconds": 0.1}) as (bridge, files):
        for number in range(6):
            hang(files, dead, number * len(PAYLOADS))
        assert files.look(tmp_path, "type") == {"info": {"type": "dir"}}
        assert bridge.log.wait("limit name=file_job_seconds value=0.1")


def test_there_are_not_threads_without_end(home: Home, tmp_path: Path) -> None:
    dead = tmp_path / "dead"
    dead.mkdir()
    with bridge_in(home, silent_mount(dead), limits={"file_threads": 5}) as (bridge, files):
        for number in range(5):
            hang(files, dead, number * len(PAYLOADS))
        for payload in PAYLOADS:
            answer = files.answer(files.open(payload, tmp_path, **options_of(payload)))
            assert answer.problem == "internal-error"
            assert "file_threads" in answer.close["message"]
        bridge.log.wait("name=file_threads")
        files.front_end.sync()


@pytest.mark.parametrize("payload", PAYLOADS)
def test_the_session_ends_all_the_same(home: Home, tmp_path: Path, payload: str) -> None:
    dead = tmp_path / "dead"
    dead.mkdir()
    with bridge_in(home, silent_mount(dead)) as (bridge, files):
        hang(files, dead, PAYLOADS.index(payload))
        files.front_end.sync()
        files.front_end.hang_up()
        files.front_end.wait_until(lambda: files.front_end.ended or not bridge.running, "the end", Deadline(10))
        assert bridge.wait() == 0
