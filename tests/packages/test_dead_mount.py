"""A package with something on a file system that never answers: it holds up those alone who ask for that."""

from pathlib import Path

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.deadline import Deadline
from spanbridge.testing.home import Home

from ..files.surroundings import bridge_in, silent_mount
from .client import Client, write_package


def package(place: Path, dead: Path) -> None:
    dead.mkdir()
    directory = write_package(place, "pkg", {"alive.txt": b"alive"})
    (directory / "dead").symlink_to(dead)


def ends(bridge: Bridge) -> None:
    """The session ends in order, whatever is still waited for."""
    front_end = bridge.front_end
    front_end.hang_up()
    front_end.wait_until(lambda: front_end.ended or not bridge.running, "the end", Deadline(10))
    assert bridge.wait() == 0


def test_a_file_of_the_user(home: Home, tmp_path: Path) -> None:
    dead = tmp_path / "dead"
    package(home.data_home, dead)
    with bridge_in(home, silent_mount(dead)) as (bridge, files):
        client = Client(files.front_end)
        waiting = [client.send(path) for path in ("/pkg/dead/file.txt", "/*/dead/file.txt", "/pkg/dead/po.js") * 2]
        assert client.get("/pkg/alive.txt").content == b"alive"
        assert files.replace(tmp_path / "other", b"content").problem is None
        for channel in waiting[:3]:
            files.front_end.close(channel)
            files.front_end.expect("close", channel)
        assert client.get("/pkg/alive.txt").content == b"alive"
        ends(bridge)


def test_a_directory_of_the_system(home: Home, tmp_path: Path) -> None:
    """All files are listed before the first is served."""
    dead = tmp_path / "dead"
    package(home.data_dir, dead)
    with bridge_in(home, silent_mount(dead)) as (bridge, files):
        client = Client(files.front_end)
        waiting = [client.send("/pkg/alive.txt") for _ in range(2)]
        # What was written goes by way of threads as well: by then theirs waits for the file system.
        assert files.replace(tmp_path / "other", b"content").problem is None
        files.front_end.close(waiting[0])
        files.front_end.expect("close", waiting[0])
        assert files.read(tmp_path / "other").data == b"content"
        ends(bridge)


def test_a_directory_of_the_system_beside_a_package_of_the_user(home: Home, tmp_path: Path) -> None:
    """Then a directory is listed when somebody asks for it."""
    dead = tmp_path / "dead"
    package(home.data_dir, dead)
    write_package(home.data_dir, "another", {"file.txt": b"another"})
    write_package(home.data_home, "own", {"file.txt": b"own"})
    with bridge_in(home, silent_mount(dead)) as (bridge, files):
        client = Client(files.front_end)
        for _ in range(2):
            client.send("/pkg/alive.txt")
        for name in ("another", "own"):
            assert client.get(f"/{name}/file.txt").content == name.encode()
        ends(bridge)
