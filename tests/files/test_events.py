"""`fswatch1` and `fslist1`."""

import json
import os
import signal
import socket
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from spanbridge.testing.frames import encode_control
from spanbridge.testing.start import Start

from .client import NO_FILE, Files


class Events:
    """A channel of events."""

    def __init__(self, files: Files, payload: str, path: object, **options: Any) -> None:
        self._front_end = files.front_end
        self._files = files
        self._seen = 0
        self.channel = files.open(payload, path, **options)
        self._front_end.expect("ready", self.channel)

    @property
    def all(self) -> list[dict[str, Any]]:
        return [json.loads(frame.payload) for frame in self._front_end.log if frame.channel == self.channel]

    def until(self, event: str, path: object, **members: Any) -> list[dict[str, Any]]:
        """Wait for an event; all that came since the last one that was waited for."""
        wanted = {"event": event, "path": str(path), **members}

        def there() -> bool:
            return any(wanted.items() <= each.items() for each in self.all[self._seen :])

        try:
            self._front_end.wait_until(there, f"{wanted}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.all[self._seen :]}") from None
        found = self.all[self._seen :]
        self._seen = len(self.all)
        return found


def test_a_file_in_a_directory(shared: Files, tmp_path: Path) -> None:
    events = Events(shared, "fswatch1", tmp_path)
    file = tmp_path / "file"
    with file.open("w") as content:
        events.until("created", file, type="file")
        content.write("x")
        content.flush()
        events.until("changed", file)
    events.until("done-hint", file, tag=shared.read(file).tag)
    file.chmod(0o600)
    events.until("attribute-changed", file, tag=shared.read(file).tag)
    file.rename(tmp_path / "other")
    found = events.until("created", tmp_path / "other", type="file")
    assert {"event": "deleted", "path": str(file), "tag": NO_FILE} in found
    (tmp_path / "other").unlink()
    events.until("deleted", tmp_path / "other", tag=NO_FILE)


def test_kinds(shared: Files, tmp_path: Path) -> None:
    events = Events(shared, "fswatch1", tmp_path)
    (tmp_path / "directory").mkdir()
    events.until("created", tmp_path / "directory", type="directory")
    (tmp_path / "link").symlink_to("directory")
    events.until("created", tmp_path / "link", type="link")
    os.mkfifo(tmp_path / "fifo")
    events.until("created", tmp_path / "fifo", type="special")


def test_who_wrote_a_new_file_has_closed_it(shared: Files, tmp_path: Path) -> None:
    """Told by the directory: the file may be written before anybody could watch it."""
    file = tmp_path / "file"
    events = Events(shared, "fswatch1", file)
    for content in ("one", "another"):
        file.write_text(content)
        found = events.until("done-hint", file, tag=shared.read(file).tag)
        assert [each["event"] for each in found].count("created") == 1
        assert found[-2]["event"] in ("created", "changed")
        file.unlink()
        events.until("deleted", file, tag=NO_FILE)


def test_a_path_of_which_nothing_is_there_yet(shared: Files, tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "file"
    events = Events(shared, "fswatch1", file)
    file.parent.mkdir(parents=True)
    file.write_text("x")
    events.until("created", file, type="file")
    file.write_text("more")
    events.until("done-hint", file, tag=shared.read(file).tag)
    (tmp_path / "a").rename(tmp_path / "moved")
    events.until("deleted", file, tag=NO_FILE)
    (tmp_path / "moved").rename(tmp_path / "a")
    events.until("created", file, tag=shared.read(file).tag)


def test_a_file_that_is_replaced(shared: Files, tmp_path: Path) -> None:
    file, new = tmp_path / "file", tmp_path / "new"
    file.write_text("old")
    events = Events(shared, "fswatch1", file)
    for content in ("one", "two", "three"):
        new.write_text(content)
        new.rename(file)
        events.until("created", file, tag=shared.read(file).tag)


@pytest.mark.parametrize("directory", [False, True])
def test_what_is_made_anew_at_once(shared: Files, tmp_path: Path, directory: bool) -> None:
    """The file system may give it the same number."""
    path = tmp_path / "it"
    make, remove = (path.mkdir, path.rmdir) if directory else (path.touch, path.unlink)
    make()
    events = Events(shared, "fswatch1", path)
    for _ in range(3):
        remove()
        make()
        events.until("created", path, type="directory" if directory else "file")


def test_the_last_event_of_a_burst_has_the_final_tag(shared: Files, tmp_path: Path) -> None:
    file = tmp_path / "file"
    events = Events(shared, "fswatch1", tmp_path)
    for number in range(100):
        file.write_text("x" * number)
        if number % 10 == 9:
            file.unlink()
    file.write_text("last")
    (tmp_path / "end").touch()
    found = events.until("done-hint", tmp_path / "end")
    assert [each["tag"] for each in found if each["path"] == str(file)][-1] == shared.read(file).tag
    assert not any(one == other for one, other in pairwise(found))


def test_more_names_than_are_remembered(start: Start, tmp_path: Path) -> None:
    bridge = start(limits={"watch_names": 100})
    events = Events(Files(bridge.front_end), "fswatch1", tmp_path)
    os.kill(bridge.pid, signal.SIGSTOP)
    for number in range(120):
        os.mkdir(tmp_path / f"{number}")
    os.kill(bridge.pid, signal.SIGCONT)
    assert len(events.until("changed", tmp_path)) <= 20


def test_more_events_than_the_kernel_keeps(start: Start, tmp_path: Path) -> None:
    """Whatever is watched may have changed."""
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    bridge = start()
    files = Files(bridge.front_end)
    place, file, other = tmp_path / "place", tmp_path / "place/file", tmp_path / "other"
    place.mkdir()
    other.mkdir()
    file.touch()
    watches = {path: Events(files, "fswatch1", path) for path in (file, other)}
    missing = Events(files, "fswatch1", tmp_path / "missing")
    os.kill(bridge.pid, signal.SIGSTOP)
    names = [place / "one", place / "two"]
    names[0].touch()
    for _ in range(most // 2):
        names[0].rename(names[1])
        names.reverse()
    file.write_text("content")
    (other / "entry").touch()
    os.kill(bridge.pid, signal.SIGCONT)
    for path, events in watches.items():
        found = events.until("changed", path)
        assert path == other or found[-1]["tag"] == files.read(path).tag
    assert not missing.all


def test_a_list(shared: Files, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    assert shared.list(place).commands == ["ready", "done", "close"]
    (place / "file").touch()
    (place / "directory").mkdir()
    (place / "link").symlink_to("directory")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(os.fsdecode(place / "special"))
    answer = shared.list(place)
    assert answer.commands == ["ready", "data", "done", "close"]
    kinds = ("file", "directory", "link", "special")
    wanted = [{"event": "present", "path": kind, "type": kind} for kind in kinds]
    assert sorted(answer.messages, key=str) == sorted(wanted, key=str)


def test_a_list_of_many(shared: Files, tmp_path: Path) -> None:
    names = {f"entry {number}" for number in range(3_000)}
    for name in names:
        os.mkdir(tmp_path / name)
    answer = shared.list(tmp_path)
    assert {message["path"] for message in answer.messages} >= names
    assert len(answer.messages) == len(os.listdir(tmp_path))


def test_a_list_obeys_the_window(start: Start, tmp_path: Path) -> None:
    """No entry is begun when so many bytes are under way."""
    place = tmp_path / "place"
    place.mkdir()
    for number in range(1_000):
        (place / f"{number}-{'long-name-' * 20}").touch()
    files = Files(start(limits={"window_bytes": 20_000}).front_end)
    channel = files.open("fslist1", place, watch=False, **{"flow-control": True})
    front = files.front_end
    front.wait_until(lambda: "ping" in front.commands(channel), "a ping")
    files.answer(files.open("fslist1", place, watch=False))  # in this time it would have gone on
    sizes = [len(frame.payload) for frame in front.of(channel) if frame.channel]
    assert sum(sizes[:-1]) < 20_000 <= sum(sizes) + max(sizes)
    assert len(files.read_on(channel).messages) == 1_000


def test_a_list_goes_on(shared: Files, tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    events = Events(shared, "fslist1", tmp_path)
    events.until("present", "there")
    (tmp_path / "new").touch()
    events.until("created", tmp_path / "new", type="file")
    (tmp_path / "there").unlink()
    events.until("deleted", tmp_path / "there", tag=NO_FILE)
    assert sum(each["event"] == "present" for each in events.all) == len(os.listdir(tmp_path))


@pytest.mark.parametrize("watch", [True, False])
def test_what_cannot_be_listed(shared: Files, tmp_path: Path, watch: bool) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "none", tmp_path / "file", tmp_path / "file" / "below"):
        answer = shared.answer(shared.open("fslist1", path, watch=watch))
        assert (answer.commands, answer.problem) == (["close"], "not-found")
        assert str(path) in answer.close["message"]
    assert shared.answer(shared.open("fslist1", "/", watch="yes")).problem == "protocol-error"


def test_what_is_read_with_a_watch_is_where_it_goes_on_from(files: Files, tmp_path: Path) -> None:
    """Both are opened in one breath; a change that the read did not see is told."""
    front = files.front_end
    for number in range(60):
        path = tmp_path / f"file-{number}"
        watch, read = f"watch-{number}", f"read-{number}"
        front.write(
            encode_control({"command": "open", "channel": watch, "payload": "fswatch1", "path": str(path)})
            + encode_control({"command": "open", "channel": read, "payload": "fsread1", "path": str(path)})
        )
        assert front.expect("close", read)["tag"] == "-"
        path.write_text("there")
        told = front.take(lambda frame, watch=watch: frame.channel == watch, "an event")  # type: ignore[misc]
        assert json.loads(told.payload)["event"] == "created"
        front.close(watch)
