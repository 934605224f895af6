"""Metrics of a machine that changes as the test wants it to."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from spanbridge.testing.home import Home

from .private_machine import DeadFileSystem, PrivateMachine, private_machine
from .samples import Samples
from .test_subjects import MACHINE, WORKSTATION

pytestmark = [pytest.mark.root, pytest.mark.timeout(60)]

DELTA = {"derive": "delta"}


def open_on(machine: PrivateMachine, *metrics: object, channel: str = "metrics", interval: int = 30) -> Samples:
    return Samples(machine.bridge.front_end, *metrics, channel=channel, interval=interval)


def stat(user: int, *cores: int) -> str:
    lines = [f"cpu  {user} 0 0 100 0 0 0 0 0 0", *(f"cpu{core} {user} 0 0 100 0 0 0 0 0 0" for core in cores)]
    return "\n".join([*lines, "intr 1 2 3", ""])


def test_processors_come_and_go(machine: PrivateMachine) -> None:
    machine.file("/proc/stat", stat(100, 0, 1, 2, 10))
    samples = open_on(machine, "cpu.basic.user", "cpu.core.user")
    assert samples.values() == [1000, {"0": 1000, "1": 1000, "2": 1000, "10": 1000}]
    assert samples.known["metrics"][1]["instances"] == ["0", "1", "2", "10"]
    machine.file("/proc/stat", stat(150, 0, 1, 10))
    samples.wait_values(1500, {"0": 1500, "1": 1500, "10": 1500})
    assert samples.known["metrics"][1]["instances"] == ["0", "1", "10"]


def test_differences_of_counters_and_of_what_is_none(machine: PrivateMachine) -> None:
    machine.file("/proc/stat", stat(100, 0))
    machine.file("/proc/meminfo", "MemFree: 100 kB\n")
    metrics = [{"name": name, **DELTA} for name in ("cpu.basic.user", "cpu.core.user", "memory.free")]
    samples = open_on(machine, *metrics)
    assert samples.values() == [False, {"0": False}, False]
    samples.wait_values(0, {"0": 0}, 0)
    machine.file("/proc/stat", stat(150, 0, 1))
    samples.wait_values(500, {"0": 500, "1": False}, 0)
    samples.wait_values(0, {"0": 0, "1": 0}, 0)
    machine.file("/proc/stat", stat(3, 0, 1))  # it began anew
    samples.wait_values(False, {"0": False, "1": False}, 0)
    machine.file("/proc/meminfo", "MemFree: 90 kB\n")
    samples.wait_values(0, {"0": 0, "1": 0}, -10 * 1024)


@pytest.mark.parametrize("text", ["", "nonsense\n", "cpu one two three four five\n"])
def test_a_file_that_cannot_be_read_for_a_while(machine: PrivateMachine, text: str) -> None:
    machine.file("/proc/stat", text)
    samples = open_on(machine, "cpu.basic.user", "cpu.core.user", {"name": "cpu.basic.user", **DELTA}, "memory.free")
    first, cores, delta, free = samples.values()
    assert (first, cores, delta) == (False, {}, False)
    assert free > 0
    machine.bridge.log.wait(r"metrics-not-read path=/proc/stat", 1)
    machine.file("/proc/meminfo", "MemFree: 1 kB\n")
    machine.file("/proc/stat", stat(100, 0))
    samples.wait_values(1000, {"0": 1000}, 0, 1024)
    machine.file("/proc/stat", text)
    samples.wait_values(False, {}, False, 1024)
    assert len(machine.bridge.log.matches("metrics-not-read")) == 1


def test_disks(machine: PrivateMachine) -> None:
    machine.file("/proc/diskstats", (WORKSTATION / "proc/diskstats").read_text())
    samples = open_on(machine, "disk.dev.read", "disk.all.written", "block.device.read")
    disks, written, devices = samples.values()
    # Which of them have a file `partition` is for this machine to say: those that it does not have are no partitions.
    assert {"nvme0n1", "sda", "cciss/c0d0"} <= disks.keys()
    assert not {"dm-0", "md127"} & disks.keys()
    assert written >= 512 * 62_914_560
    assert set(devices) >= {"nvme0n1p1", "dm-0", "md127"}
    machine.file("/proc/diskstats", "   8  0 sdz 1 1 2 1 1 1 4 1 0 1 1\n")
    samples.wait_values({"sdz": 1024}, 2048, {"sdz": 1024})


def test_interfaces_come_and_go(machine: PrivateMachine) -> None:
    samples = open_on(machine, "network.interface.rx", {"name": "network.all.tx", **DELTA})
    own, _ = samples.values()
    assert "lo" in own
    assert "eth0" not in own  # the namespace has its own
    machine.run("ip", "link", "add", "veth-a", "type", "veth", "peer", "name", "veth-b")
    while not {"veth-a", "veth-b"} <= samples.values()[0].keys():
        pass
    machine.run("ip", "link", "del", "veth-a")
    while {"veth-a", "veth-b"} & samples.values()[0].keys():
        pass
    assert samples.known["metrics"][0]["instances"] == sorted(own)


def test_groups_of_version_2_come_and_go(machine: PrivateMachine) -> None:
    tree = machine.tree("/sys/fs/cgroup")
    (tree / "cgroup.controllers").write_text("cpu memory\n")
    group(tree / "b", **{"memory.current": "5", "memory.max": "max", "cpu.stat": "usage_usec 7999"})
    samples = open_on(machine, "cgroup.memory.usage", "cgroup.memory.limit", "cgroup.cpu.usage", "cgroup.cpu.shares")
    assert samples.values() == [{"b": 5}, {"b": False}, {"b": 7}, {"b": False}]
    (tree / "b/memory.max").write_text("4096\n")
    samples.wait_values({"b": 5}, {"b": 4096}, {"b": 7}, {"b": False})
    group(tree / "new", **{"memory.current": "6"})
    (tree / "new").rename(tree / "b/a.service")
    samples.wait_values(
        {"b": 5, "b/a.service": 6},
        {"b": 4096, "b/a.service": False},
        {"b": 7, "b/a.service": False},
        {"b": False, "b/a.service": False},
    )
    assert samples.known["metrics"][0]["instances"] == ["b", "b/a.service"]
    (tree / "b").rename(tree / "c")
    samples.wait_values(
        {"c": 5, "c/a.service": 6},
        {"c": 4096, "c/a.service": False},
        {"c": 7, "c/a.service": False},
        {"c": False, "c/a.service": False},
    )
    assert not machine.bridge.log.matches("metrics-not-read")


def test_groups_of_version_1(machine: PrivateMachine) -> None:
    tree = machine.tree("/sys/fs/cgroup")
    for source in sorted((MACHINE / "sys/fs/cgroup").rglob("*")):
        if source.is_file():
            target = tree / source.relative_to(MACHINE / "sys/fs/cgroup")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    samples = open_on(machine, "cgroup.memory.limit", "cgroup.cpu.usage")
    assert samples.values() == [
        {"system.slice": False, "system.slice/ssh.service": 268_435_456, "user.slice": False},
        {"system.slice": 184, "system.slice/ssh.service": 92},
    ]


def group(directory: Path, **files: str) -> None:
    directory.mkdir()
    for name, text in files.items():
        (directory / name).write_text(f"{text}\n")


def test_a_name_that_is_no_text(machine: PrivateMachine) -> None:
    tree = machine.tree("/sys/fs/cgroup")
    (tree / "cgroup.controllers").touch()
    os.mkdir(os.fsencode(tree) + b"/caf\xe9")
    samples = open_on(machine, "cgroup.memory.usage")
    assert samples.values() == [{"caf\udce9": False}]


def test_file_systems(machine: PrivateMachine) -> None:
    place = machine.bridge.home.root / "a place\twith\\blanks"
    place.mkdir()
    machine.run("mount", "-t", "tmpfs", "-o", "size=1m", "/of-memory", place)
    samples = open_on(machine, "mount.total", "mount.used")
    totals, useds = samples.values()
    assert totals[str(place)] == 1 << 20
    assert useds[str(place)] == 0
    (Path(f"/proc/{machine.bridge.pid}/root{place}") / "file").write_bytes(bytes(8192))
    while samples.values()[1][str(place)] != 8192:
        pass
    machine.run("mount", "-t", "tmpfs", "-o", "size=2m", "/of-memory", place)  # the upper one counts
    while samples.values()[0][str(place)] != 2 << 20:
        pass
    machine.run("umount", place)
    machine.run("umount", place)
    while str(place) in samples.values()[0]:
        pass


def test_a_dead_file_system_delays_nobody(machine: PrivateMachine) -> None:
    root = machine.bridge.home.root
    places = [root / name for name in ("alive", "dead-1", "dead-2")]
    for place in places:
        place.mkdir()
    alive, *dead = places
    machine.run("mount", "-t", "tmpfs", "-o", "size=1m", "/of-memory", alive)
    with all_dead(machine, dead) as file_systems:
        mounts = open_on(machine, "mount.total", channel="mounts", interval=100)
        other = open_on(machine, "cpu.basic.user", channel="other", interval=50)
        other.point()
        for _ in range(3):
            (totals,) = mounts.values()
            assert totals[str(alive)] == 1 << 20
            assert [totals[str(place)] for place in dead] == [False, False]
        assert len(other.front.of("other")) >= len(mounts.front.of("mounts"))
        threads = Path(f"/proc/{machine.bridge.pid}/task")
        assert sum((task / "comm").read_text() == "statvfs\n" for task in threads.iterdir()) <= len(dead)
        file_systems[0].let_go()
        mounts.values()
    mounts.values()


@contextmanager
def all_dead(machine: PrivateMachine, places: list[Path]) -> Iterator[list[DeadFileSystem]]:
    file_systems = [DeadFileSystem(machine, place) for place in places]
    try:
        yield file_systems
    finally:
        for each in file_systems:
            each.let_go()


def test_the_session_ends_while_a_file_system_is_dead(home: Home) -> None:
    place = home.root / "dead"
    place.mkdir()
    with private_machine(home) as machine:
        (file_system,) = [DeadFileSystem(machine, place)]
        try:
            samples = open_on(machine, "mount.total", interval=100)
            assert samples.values()[0][str(place)] is False
            assert machine.bridge.end() == 0
        finally:
            file_system.let_go()


def test_processes_of_groups(machine: PrivateMachine) -> None:
    samples = open_on(machine, "disk.cgroup.read", "disk.cgroup.written")
    read, written = samples.values()
    assert read.keys() == written.keys()
    assert "" not in read
    assert "/" not in read
    with processes(50):
        for _ in range(3):
            samples.values()
    samples.values()
    assert not machine.bridge.log.matches("metrics-not-read")


@contextmanager
def processes(count: int) -> Iterator[None]:
    """So many that do nothing."""
    started = [subprocess.Popen(["cat"], stdin=subprocess.PIPE) for _ in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.communicate()
