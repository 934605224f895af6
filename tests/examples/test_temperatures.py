"""examples/helpers/temperatures.py."""

import json
from pathlib import Path
from typing import Any

import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.front_end import FrontEnd


@pytest.fixture
def sensors(tmp_path: Path) -> Path:
    """A /sys with two sensors of hwmon; the directory of their chip."""
    chip = tmp_path / "sys" / "class" / "hwmon" / "hwmon0"
    chip.mkdir(parents=True)
    for name, content in {
        "name": "coretemp",
        "temp1_input": "45500",
        "temp1_label": "Package id 0",
        "temp2_input": "-5000",
        "fan1_input": "1200",
    }.items():
        (chip / name).write_text(f"{content}\n")
    return chip


def sample(front_end: FrontEnd, channel: str = "a") -> dict[str, Any]:
    frame = front_end.take(lambda frame: frame.channel == channel, f"a sample on {channel}")
    told: dict[str, Any] = json.loads(frame.payload)
    return told


def degrees(front_end: FrontEnd, channel: str = "a") -> dict[str, float]:
    return {sensor["name"]: sensor["celsius"] for sensor in sample(front_end, channel)["sensors"]}


def test_samples_come_until_the_channel_is_closed(front_end: FrontEnd, sensors: Path) -> None:
    front_end.open("a", "temperatures", interval=0.01)
    front_end.expect("ready", "a")
    first, second = sample(front_end), sample(front_end)
    assert first["time"] < second["time"]
    assert first["sensors"] == [
        {"name": "coretemp/temp1", "label": "Package id 0", "celsius": 45.5},
        {"name": "coretemp/temp2", "label": "", "celsius": -5.0},
    ]
    (sensors / "temp1_input").write_text("46000\n")
    while degrees(front_end)["coretemp/temp1"] != 46.0:
        pass
    front_end.close("a")
    front_end.expect("close", "a")
    front_end.sync()
    assert front_end.commands("a")[-1] == "close"


def test_the_interval_can_be_changed(front_end: FrontEnd, sensors: Path) -> None:
    front_end.open("a", "temperatures", interval=3600)
    sample(front_end)
    (sensors / "temp1_input").write_text("46000\n")
    front_end.control("options", channel="a", interval=0.01)
    assert degrees(front_end)["coretemp/temp1"] == 46.0
    sample(front_end)
    front_end.send("a", b"of no interest")
    front_end.control("options", channel="a", interval=0)
    closed = front_end.expect("close", "a", problem="protocol-error")
    assert closed["message"] == '"interval": expected 0.01 to 3600 seconds, found 0'


def test_done_ends_it(front_end: FrontEnd, sensors: Path) -> None:
    front_end.open("a", "temperatures")
    sample(front_end)
    front_end.control("done", channel="a")
    front_end.expect("done", "a")
    assert front_end.expect("close", "a") == {"command": "close", "channel": "a"}


def test_a_sensor_that_cannot_be_read_is_left_out(front_end: FrontEnd, sensors: Path) -> None:
    (sensors / "temp1_input").write_text("")
    front_end.open("a", "temperatures")
    assert degrees(front_end) == {"coretemp/temp2": -5.0}


def test_thermal_zones_where_there_is_no_hwmon(front_end: FrontEnd, tmp_path: Path) -> None:
    zone = tmp_path / "sys" / "class" / "thermal" / "thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "type").write_text("acpitz\n")
    (zone / "temp").write_text("27800\n")
    front_end.open("a", "temperatures")
    assert sample(front_end)["sensors"] == [{"name": "thermal_zone0", "label": "acpitz", "celsius": 27.8}]


def test_an_interval_that_is_none(front_end: FrontEnd, sensors: Path) -> None:
    for interval in (0, -1, "1", True, None, 1e9):
        channel = str(interval)
        front_end.open(channel, "temperatures", interval=interval)
        assert '"interval": expected' in front_end.expect("close", channel, problem="protocol-error")["message"]


def test_a_machine_without_sensors(front_end: FrontEnd, tmp_path: Path) -> None:
    front_end.open("a", "temperatures")
    told = front_end.expect("close", "a", problem="not-supported")["message"]
    assert told == f"no temperature sensor below {tmp_path}/sys"


def test_it_ends_with_its_session(bridge: Bridge, front_end: FrontEnd, sensors: Path) -> None:
    front_end.open("a", "temperatures", interval=0.01)
    sample(front_end)
    assert bridge.end() == 0
    assert bridge.log.matches(r'helper-ended.*how="exited with status 0"')
