"""Debian's cockpit-pcp behind spanbridge, registered as its package does it, reads an archive of known values."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.start import Start

from ..missing import lack
from .samples import Samples

PCP = Path(os.environ.get("SPANBRIDGE_TESTS_PCP", "/var/cache/spanbridge-tests/pcp"))
HELPER = PCP / "usr/lib/cockpit/cockpit-pcp"
ENVIRON = {"LD_LIBRARY_PATH": str(PCP / "usr/lib"), "PCP_CONF": str(PCP / "etc/pcp.conf")}
PYTHON = "/usr/bin/python3"


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with one archive (pcp_archive.py)."""
    if not HELPER.exists():
        lack(f"missing: {HELPER} (run .ci/fetch-pcp {PCP})")
    directory = tmp_path_factory.mktemp("archives")
    program = Path(__file__).with_name("pcp_archive.py")
    subprocess.run([PYTHON, program, PCP, directory / "0"], env=ENVIRON, check=True)
    return directory


@pytest.fixture
def bridge(archives: Path, start: Start) -> Bridge:
    rule = {
        "match": {"payload": "metrics1"},
        "spawn": [str(HELPER)],
        "environ": [f"{name}={value}" for name, value in ENVIRON.items()],
    }
    return start(rule)


@pytest.fixture
def samples(bridge: Bridge) -> Callable[..., Samples]:
    def open_samples(*metrics: Any, **options: Any) -> Samples:
        return Samples(bridge.front_end, *metrics, **options)

    return open_samples


def test_an_archive_from_its_beginning(archives: Path, samples: Callable[..., Samples]) -> None:
    channel = samples("mock.value", {"name": "mock.sizes", "units": "bytes"}, source=str(archives))
    meta = channel.meta()
    assert meta["timestamp"] == 1_000_000
    assert [each["name"] for each in meta["metrics"]] == ["mock.value", "mock.sizes"]
    assert meta["metrics"][1]["instances"] == ["red", "green"]
    # Units are converted, and several points come in one message: all of that as the helper says it.
    assert channel.message() == [[10 + count, [102_400 * count, 1024 * count]] for count in range(5)]
    assert "problem" not in channel.closed()


def test_a_part_of_it(archives: Path, samples: Callable[..., Samples]) -> None:
    channel = samples("mock.value", source=str(archives), timestamp=1_002_000, limit=2)
    assert channel.meta()["timestamp"] == 1_002_000
    assert channel.message() == [[12], [13]]
    assert "problem" not in channel.closed()


def test_no_archive(tmp_path: Path, samples: Callable[..., Samples]) -> None:
    assert samples("mock.value", source=str(tmp_path)).closed()["problem"] == "not-found"


def test_no_daemon(samples: Callable[..., Samples]) -> None:
    closed = samples("kernel.all.cpu.user", source="pmcd").closed()
    assert closed["problem"] == "internal-error"


def test_the_helper_has_internal_too(bridge: Bridge, samples: Callable[..., Samples]) -> None:
    channel = samples("memory.used", source="internal")
    assert "source" not in channel.meta()  # ours says it
    ((used,),) = channel.message()
    assert used > 0
    assert len(bridge.children) == 1


def test_a_helper_for_pcp_alone_leaves_internal_to_the_bridge(archives: Path, start: Start) -> None:
    environ = [f"{name}={value}" for name, value in ENVIRON.items()]
    rules = [
        {"match": {"payload": "metrics1", "source": source}, "spawn": [str(HELPER)], "environ": environ}
        for source in ("direct", "pmcd", "pcp-archive", "/*")
    ]
    front = start(*rules).front_end
    assert Samples(front, "memory.used", channel="ours", source="internal").meta()["source"] == "internal"
    channel = Samples(front, "mock.value", channel="theirs", source=str(archives))
    assert channel.meta()["timestamp"] == 1_000_000
    assert json.dumps(channel.message()) == "[[10], [11], [12], [13], [14]]"
