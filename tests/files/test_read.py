"""`fsread1`."""

import os
import socket
from pathlib import Path

import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.start import Start

from .client import NO_FILE, Files

LARGE = 3 << 20
FLOW = {"binary": "raw", "flow-control": True, "max_read_size": -1}


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(os.urandom(LARGE))
    return path


def test_a_small_file(shared: Files, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"some\0content\xff")
    answer = shared.read(file)
    assert answer.commands == ["ready", "data", "done", "close"]
    assert answer.data == b"some\0content\xff"
    assert answer.ready["size-hint"] == 13
    assert answer.problem is None
    assert answer.tag == shared.read(file).tag != NO_FILE


def test_a_large_file(shared: Files, large: Path) -> None:
    answer = shared.read(large)
    assert answer.commands == ["ready", "data", "done", "close"]
    assert answer.data == large.read_bytes()
    assert answer.ready["size-hint"] == LARGE
    assert max(len(frame.payload) for frame in answer.frames) <= 64 << 10


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 1 << 20, (2 << 20) + 1])
@pytest.mark.parametrize("raw", [True, False])
def test_sizes(shared: Files, tmp_path: Path, size: int, raw: bool) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"0123456789abcdef" * (size // 16) + b"x" * (size % 16))
    answer = shared.read(file, raw=raw)
    assert answer.data == file.read_bytes()
    assert answer.problem is None
    assert ("size-hint" in answer.ready) == (raw and size > 0)
    assert all(frame.payload for frame in answer.frames)


def test_text_is_valid_and_characters_are_whole(shared: Files, tmp_path: Path) -> None:
    file = tmp_path / "file"
    content = b"x" + "\u20ac".encode() * 100_000 + b"\xff\0\xe2\x82" + "\U0001f600".encode() * 50_000 + b"\xf0"
    file.write_bytes(content)
    answer = shared.read(file, raw=False)
    for frame in answer.frames:
        frame.payload.decode()
    assert answer.data.decode() == content.decode(errors="replace")
    assert answer.commands == ["ready", "data", "done", "close"]


def test_what_is_not_there(shared: Files, tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path / "none" / "below"):
        answer = shared.read(path)
        assert (answer.commands, answer.tag, answer.problem) == (["close"], NO_FILE, None)


@pytest.mark.parametrize("kind", ["directory", "directory/", "FIFO", "socket"])
def test_what_is_no_file(shared: Files, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "it"
    if kind == "FIFO":
        os.mkfifo(place)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(os.fsdecode(place))
    else:
        place.mkdir()
    path = f"{place}/" if kind.endswith("/") else str(place)
    answer = shared.read(path)
    assert (answer.commands, answer.problem) == (["close"], "internal-error")
    assert answer.close["message"] == f"{path}: a {kind.rstrip('/')}, expected a file"


def test_writers_of_a_fifo_are_not_woken(shared: Files, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    shared.read(fifo)
    with pytest.raises(OSError, match="No such device or address"):  # still nobody reads it
        os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)


def test_devices(shared: Files) -> None:
    null = shared.read("/dev/null")
    assert (null.commands, null.data, null.problem) == (["ready", "done", "close"], b"", None)
    zero = shared.read("/dev/zero", max_read_size=100_000)
    assert zero.problem == "too-large"
    assert len(zero.data) <= 100_000
    assert shared.read("/dev/zero", max_read_size=10).commands == ["close"]


def test_a_device_without_anything_to_read(shared: Files) -> None:
    main, terminal = os.openpty()
    try:
        answer = shared.read(os.ttyname(terminal))
        assert answer.problem == "internal-error"
        assert "nothing to read" in answer.close["message"]
    finally:
        os.close(main)
        os.close(terminal)


def test_a_file_that_the_kernel_makes_up(shared: Files) -> None:
    answer = shared.read("/proc/self/status")
    assert answer.data.startswith(b"Name:")
    assert "size-hint" not in answer.ready
    assert shared.read("/proc/self/status", max_read_size=10).problem == "too-large"
    long = shared.read("/proc/kallsyms", max_read_size=-1)
    assert (long.problem, len(long.data) > 65_536) == (None, True)


def test_a_file_that_is_shorter_than_it_says(shared: Files) -> None:
    answer = shared.read("/sys/kernel/mm/transparent_hugepage/enabled", raw=False)
    if answer.tag == NO_FILE:
        pytest.skip("no such file in /sys")
    assert answer.data.endswith(b"\n")
    assert answer.problem is None


@pytest.mark.parametrize("raw", [True, False])
def test_a_window_that_is_smaller_than_a_small_file(start: Start, tmp_path: Path, raw: bool) -> None:
    (tmp_path / "file").write_bytes(b"x" * 60_000)
    files = Files(start(limits={"window_bytes": 20_000}).front_end)
    front = files.front_end
    channel = files.open("fsread1", tmp_path / "file", **({"binary": "raw"} if raw else {}), **{"flow-control": True})
    front.wait_until(lambda: "ping" in front.commands(channel), "a ping")
    files.read(tmp_path / "file")  # in this time it would have gone on
    assert sum(len(frame.payload) for frame in front.of(channel) if frame.channel) <= 20_000
    assert files.read_on(channel).data == b"x" * 60_000


def test_limits(shared: Files, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 1000)
    assert shared.read(file, max_read_size=1000).data == b"x" * 1000
    refused = shared.read(file, max_read_size=999)
    assert (refused.commands, refused.problem) == (["close"], "too-large")
    assert shared.read(file, max_read_size=0).problem == "too-large"
    with file.open("wb") as sparse:
        sparse.truncate((16 << 20) + 1)
    assert shared.read(file).problem == "too-large"
    assert len(shared.read(file, max_read_size=-1).data) == (16 << 20) + 1


@pytest.mark.parametrize("limit", [-2, True, "10", 1.5, []])
def test_a_limit_that_is_none(shared: Files, limit: object) -> None:
    answer = shared.read("/dev/null", max_read_size=limit)
    assert answer.problem == "protocol-error"
    assert '"max_read_size" of fsread1' in answer.close["message"]


@pytest.mark.parametrize("path", ["", 7, None, "/a\0b", ["/"]])
@pytest.mark.parametrize("payload", ["fsread1", "fsreplace1", "fsinfo", "fswatch1", "fslist1"])
def test_a_path_that_is_none(shared: Files, payload: str, path: object) -> None:
    answer = shared.answer(shared.open(payload, path, attrs=["type"] if payload == "fsinfo" else None))
    assert (answer.commands, answer.problem) == (["close"], "protocol-error")
    assert '"path"' in answer.close["message"]


def test_data_from_the_front_end_is_an_error_and_done_is_none(shared: Files, large: Path) -> None:
    channels = [shared.open(payload, large.parent) for payload in ("fswatch1", "fslist1")]
    channels.append(shared.open("fsread1", large, **FLOW))
    channels.append(shared.open("fsinfo", large, attrs=["type"], watch=True))
    for channel in channels:
        shared.front_end.expect("ready", channel)
        shared.front_end.control("done", channel=channel)
        shared.front_end.control("done", channel=channel)
        shared.front_end.control("options", channel=channel, what="ever")
        shared.front_end.send(channel, b"data")
        assert shared.answer(channel).problem == "protocol-error"


def test_a_relative_path_counts_from_the_working_directory(shared_bridge: Bridge, shared: Files) -> None:
    (shared_bridge.home.root / "beside").write_text("here")
    assert shared.read("beside").data == b"here"


def test_names_that_are_not_utf8(shared: Files, tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/bad\xff\xfe"
    Path(os.fsdecode(path)).write_bytes(b"content")
    assert shared.read(path).data == b"content"
    assert shared.read(path + b"\xff").tag == NO_FILE


def test_a_file_that_is_replaced_while_it_is_read(shared: Files, large: Path) -> None:
    content, tag = large.read_bytes(), shared.read(large).tag
    channel = shared.open("fsread1", large, **FLOW)
    shared.front_end.expect("ready", channel)
    (large.parent / "new").write_bytes(b"new")
    (large.parent / "new").rename(large)
    answer = shared.read_on(channel)
    assert (answer.data, answer.tag, answer.problem) == (content, tag, None)


@pytest.mark.parametrize("change", ["append", "truncate", "empty", "write", "touch"])
@pytest.mark.parametrize("raw", [True, False])
def test_a_file_that_is_changed_while_it_is_read(shared: Files, large: Path, change: str, raw: bool) -> None:
    channel = shared.open("fsread1", large, **{**FLOW, "binary": "raw" if raw else None})
    shared.front_end.wait_until(lambda: len(shared.front_end.data_so_far(channel)) >= 1 << 20, "a part of it")
    if change == "append":
        with large.open("ab") as file:
            file.write(b"more")
    elif change == "write":
        with large.open("r+b") as file:
            file.write(b"other")
    elif change == "touch":
        os.utime(large, ns=(1, 1))
    else:
        os.truncate(large, 0 if change == "empty" else LARGE - 100_000)
    answer = shared.read_on(channel)
    assert answer.problem == "change-conflict"
    assert "done" not in answer.commands
    assert large.name in answer.close["message"]
    assert shared.read(large).problem is None


def test_what_was_found_unchanged_is_what_the_front_end_gets(files: Files, large: Path) -> None:
    """What lies in pipes between the bridge and a slow front end may still be a part of the file."""
    content, front_end = large.read_bytes(), files.front_end
    channel = files.open("fsread1", large, binary="raw")
    front_end.wait_until(lambda: len(front_end.data_so_far(channel)) >= 64 << 10, "the beginning")
    with large.open("r+b") as file:
        file.write(b"\0" * LARGE)
    answer = files.answer(channel)
    assert answer.problem == "change-conflict" or answer.data == content


def test_a_front_end_that_closes_early(shared: Files, large: Path) -> None:
    for _ in range(3):
        channel = shared.open("fsread1", large, **FLOW)
        shared.front_end.expect("ready", channel)
        shared.front_end.close(channel)
        assert shared.answer(channel).close == {"command": "close", "channel": channel}
    assert shared.read(large).problem is None


def test_descriptors_go_with_their_channels(files: Files, start: object, large: Path) -> None:
    front_end = files.front_end
    pid = int(front_end._explain().split()[2])
    assert files.read(large).problem is None
    before = len(os.listdir(f"/proc/{pid}/fd"))
    channels = [files.open("fsread1", large, **FLOW) for _ in range(10)]
    for channel in channels:
        front_end.expect("ready", channel)
        front_end.close(channel)
        files.answer(channel)
    for _ in range(1000):
        if len(os.listdir(f"/proc/{pid}/fd")) <= before:
            return
        files.read(large)  # what threads let go of is let go by the time that others have been served
    raise AssertionError(os.listdir(f"/proc/{pid}/fd"))
