"""Each subject reads trees of /proc and /sys as machines have them."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from spanbridge.payloads.metrics import cgroup, cpu, disk, memory, mount, network, process_io, temperature
from spanbridge.payloads.metrics.reader import Reader
from spanbridge.payloads.metrics.registry import METRICS, SUBJECTS, sampler
from spanbridge.payloads.metrics.values import Sample

TREES = Path(__file__).with_name("trees")
MACHINE = TREES / "virtual-machine"
WORKSTATION = TREES / "workstation"


def read(subject: str, tree: Path, *names: str) -> Sample:
    """What the subject says of a tree in which all of it can be read."""
    reader = Reader(str(tree))
    wanted = names or tuple(name for name, metric in METRICS.items() if metric.subject == subject)
    sample = sampler(subject, reader).sample(frozenset(wanted))
    assert not reader.failures
    return sample


def test_cpu() -> None:
    assert read("cpu", WORKSTATION) == {
        "cpu.basic.user": 13_932_800,
        "cpu.basic.nice": 32_900,
        "cpu.basic.system": 3_615_410,
        "cpu.basic.iowait": 181_240,
        "cpu.core.user": {"0": 3_476_120, "1": 3_491_200, "3": 3_489_020, "10": 3_476_460},
        "cpu.core.nice": {"0": 10_010, "1": 7_200, "3": 8_120, "10": 7_570},
        "cpu.core.system": {"0": 920_110, "1": 901_170, "3": 895_440, "10": 898_690},
        "cpu.core.iowait": {"0": 42_110, "1": 46_300, "3": 46_100, "10": 46_730},
    }
    assert set(read("cpu", MACHINE)["cpu.core.user"]) == {"0", "1"}  # type: ignore[arg-type]


def test_memory() -> None:
    assert read("memory", WORKSTATION) == {
        "memory.free": 4_139_220 * 1024,
        "memory.used": (32_619_092 - 21_874_432) * 1024,
        "memory.cached": (982_344 + 16_182_012) * 1024,
        "memory.swap-used": (8_388_604 - 8_284_156) * 1024,
    }
    assert read("memory", MACHINE)["memory.swap-used"] == 0


def test_memory_of_a_kernel_that_tells_less() -> None:
    assert memory.parse("MemFree: 3 kB\nHugePages_Total: 4\n") == {"MemFree": 3072}


def test_network() -> None:
    assert read("network", WORKSTATION) == {
        "network.interface.rx": {"lo": 812_344, "enp0s31f6": (1 << 64) - 1},
        "network.interface.tx": {"lo": 812_344, "enp0s31f6": 220_114_433},
        "network.all.rx": 812_344 + (1 << 64) - 1,
        "network.all.tx": 812_344 + 220_114_433,
    }
    assert set(read("network", MACHINE)["network.interface.rx"]) == {"lo", "ifb0", "ifb1", "eth0"}  # type: ignore[arg-type]


def test_disks() -> None:
    sample = read("disk", WORKSTATION)
    disks = {
        "nvme0n1": (31_457_280, 62_914_560),
        "sda": (98_304, 0),
        "cciss/c0d0": (64, 8),
        "loop0": (700, 0),
    }
    assert sample["disk.dev.read"] == {name: 512 * read for name, (read, _) in disks.items()}
    assert sample["disk.dev.written"] == {name: 512 * written for name, (_, written) in disks.items()}
    assert sample["disk.all.read"] == 512 * sum(read for read, _ in disks.values())
    assert sample["disk.all.written"] == 512 * sum(written for _, written in disks.values())
    assert isinstance(sample["block.device.read"], dict)
    assert set(sample["block.device.read"]) == {
        *disks, "nvme0n1p1", "nvme0n1p2", "sda1", "dm-0", "md127", "cciss/c0d0p1",
    }  # fmt: skip


def test_disks_without_sysfs_are_told_by_their_names(tmp_path: Path) -> None:
    shutil.copytree(WORKSTATION / "proc", tmp_path / "proc")
    assert set(read("disk", tmp_path)["disk.dev.read"]) == {"nvme0n1", "sda", "cciss/c0d0", "loop0"}  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["sda1", "sdaa15", "hdb2", "vda1", "xvda1", "nvme0n1p1", "mmcblk0p2", "dasda1"])
def test_names_of_partitions(name: str) -> None:
    assert disk.partition_by_name(name)


@pytest.mark.parametrize("name", ["sda", "nvme0n1", "mmcblk0", "mmcblk0boot0", "sr0", "loop7", "zram0", "dm-0", "vdp"])
def test_names_of_disks(name: str) -> None:
    assert not disk.partition_by_name(name)


def test_temperatures() -> None:
    hwmon = temperature.HWMON
    assert read("temperature", WORKSTATION) == {
        "cpu.temperature": {
            f"{hwmon}/hwmon1/temp1_input": 48.0,
            f"{hwmon}/hwmon1/temp2_input": 46.5,
            f"{hwmon}/hwmon1/temp3_input": False,
            f"{hwmon}/hwmon2/temp1_input": 45.0,
        }
    }
    assert read("temperature", MACHINE) == {"cpu.temperature": {}}


def test_mount_points() -> None:
    mounts = mount.parse((WORKSTATION / "proc/self/mounts").read_text())
    assert mount.points(mounts) == ["/", "/home", "/mnt/image", "/media/My Disk\\\tx", "/mnt/twice"]


def test_a_source_without_a_slash_is_no_file_system_with_a_size() -> None:
    assert mount.points(mount.parse("server:/export /mnt nfs4 rw 0 0\n")) == []
    assert mount.points(mount.parse("/dev/mapper/revokefs-fuse /mnt fuse rw 0 0\n")) == []


def test_groups_of_version_2() -> None:
    groups = ["init.scope", "system.slice", "system.slice/nginx.service", "user.slice"]
    sample = read("memory groups", WORKSTATION)
    assert sample == {
        "cgroup.memory.usage": dict.fromkeys(groups, 1_048_576) | {"init.scope": False},
        "cgroup.memory.limit": dict.fromkeys(groups, False) | {"system.slice/nginx.service": 536_870_912},
        "cgroup.memory.sw-usage": dict.fromkeys(groups, 4096) | {"init.scope": False},
        "cgroup.memory.sw-limit": dict.fromkeys(groups, False),
    }
    assert read("cpu groups", WORKSTATION) == {
        "cgroup.cpu.usage": dict.fromkeys(groups, 1_843_201),
        "cgroup.cpu.shares": dict.fromkeys(groups, 100) | {"user.slice": False},
    }


def test_groups_of_version_1() -> None:
    assert read("memory groups", MACHINE) == {
        "cgroup.memory.usage": {"system.slice": 2_240_512, "system.slice/ssh.service": 1_159_168, "user.slice": 0},
        "cgroup.memory.limit": {"system.slice": False, "system.slice/ssh.service": 268_435_456, "user.slice": False},
        "cgroup.memory.sw-usage": {"system.slice": 2_240_512, "system.slice/ssh.service": 1_171_456, "user.slice": False},  # noqa: E501
        "cgroup.memory.sw-limit": {"system.slice": False, "system.slice/ssh.service": False, "user.slice": False},
    }  # fmt: skip
    assert read("cpu groups", MACHINE) == {
        "cgroup.cpu.usage": {"system.slice": 184, "system.slice/ssh.service": 92},
        "cgroup.cpu.shares": {"system.slice": 1024, "system.slice/ssh.service": 1024},
    }


def test_only_the_files_of_a_group_that_are_asked_for_are_read(tmp_path: Path) -> None:
    group = tmp_path / "sys/fs/cgroup/a"
    group.mkdir(parents=True)
    (group.parent / "cgroup.controllers").touch()
    (group / "memory.current").write_text("1\n")
    (group / "memory.max").write_text("nonsense\n")
    assert read("memory groups", tmp_path, "cgroup.memory.usage") == {"cgroup.memory.usage": {"a": 1}}


def test_io_of_processes() -> None:
    assert read("processes", MACHINE) == {
        "disk.cgroup.read": {"system.slice/ssh.service": 2_650_112 + 512},
        "disk.cgroup.written": {"system.slice/ssh.service": 12_288},
    }
    assert read("processes", WORKSTATION) == {
        "disk.cgroup.read": {"init.scope": 40_960},
        "disk.cgroup.written": {"init.scope": 0},
    }


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("0::/\n", ""),
        ("0::/a/b\n", "a/b"),
        ("2:cpu:/x\n1:name=systemd:/a/b:c\n0::/\n", "a/b:c"),
        ("2:cpu,cpuacct:/x\n1:memory:/y\n", "x"),
    ],
)
def test_the_group_of_a_process(text: str, group: str) -> None:
    assert process_io.parse_group(text) == group


PARSERS: list[Any] = [
    cpu.parse,
    memory.parse,
    network.parse,
    disk.parse,
    temperature.parse,
    cgroup.number,
    cgroup.limit,
    cgroup.nanoseconds,
    cgroup.cpu_stat,
    process_io.parse_io,
    process_io.parse_group,
    mount.parse,
]
MAY_BE_EMPTY = [disk.parse, mount.parse]


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize("text", ["", "nonsense\n", "cpu 1 2 3\n", "MemFree: x kB\n", "1 2\n", "-4 x\n", "\x00" * 40])
def test_what_cannot_be_parsed(parse: Any, text: str) -> None:
    if not text and parse in MAY_BE_EMPTY:
        assert not parse(text)
        return
    with pytest.raises(ValueError, match=r"."):
        parse(text)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_tree_without_anything(subject: str, tmp_path: Path) -> None:
    reader = Reader(str(tmp_path))
    names = frozenset(name for name, metric in METRICS.items() if metric.subject == subject)
    assert not any(sampler(subject, reader).sample(names).values())


@pytest.mark.parametrize(("subject", "path"), [("cpu", cpu.PATH), ("memory", memory.PATH), ("disk", disk.PATH)])
def test_a_file_that_cannot_be_parsed_is_a_failure(subject: str, path: str, tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / path[1:]).write_text("1 2 3\n")
    reader = Reader(str(tmp_path))
    assert sampler(subject, reader).sample(frozenset()) == {}
    assert list(reader.failures) == [path]


def test_a_long_file_is_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "long").write_text("x" * 300_000)
    assert len(Reader(str(tmp_path)).text("/long")) == 300_000
