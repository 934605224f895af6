"""A channel of metrics, as a front end sees it."""

import json
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from spanbridge.payloads.metrics.registry import METRICS
from spanbridge.testing.bridge import Bridge
from spanbridge.testing.home import Home
from spanbridge.testing.start import Start

from .conftest import Sampled
from .samples import Samples


def test_ready_then_what_it_is_then_numbers(sampled: Sampled) -> None:
    before = time.time() * 1000 - 1
    samples = sampled("memory.used", {"name": "cpu.basic.user", "derive": "rate"}, interval=50)
    text = samples.text()
    assert re.search(r'"timestamp":\d{13}\.0[,}]', text)
    assert re.search(r'"now":\d{13}[,}]', text)
    meta = json.loads(text)
    assert before <= meta.pop("timestamp") <= meta.pop("now") + 50
    assert meta == {
        "source": "internal",
        "interval": 50,
        "metrics": [
            {"name": "memory.used", "units": "bytes", "semantics": "instant"},
            {"name": "cpu.basic.user", "units": "millisec", "semantics": "counter", "derive": "rate"},
        ],
    }
    used, rate = samples.data()
    assert type(used) is int
    assert used > 0
    assert rate is False
    assert samples.front.commands(samples.channel)[:3] == ["ready", "data", "data"]


def test_all_metrics_at_once(sampled: Sampled) -> None:
    samples = sampled(*METRICS)
    meta = samples.meta()
    assert [each["name"] for each in meta["metrics"]] == list(METRICS)
    for described, value in zip(meta["metrics"], samples.data(), strict=True):
        assert ("instances" in described) == METRICS[described["name"]].instances
        numbers = value if isinstance(value, list) else [value]
        assert len(numbers) == len(described.get("instances", [0]))
        assert all(number is False or (type(number) in (int, float) and number >= 0) for number in numbers)
    by_name = dict(zip(METRICS, meta["metrics"], strict=True))
    cores = by_name["cpu.core.user"]["instances"]
    assert cores == sorted(cores, key=int)
    assert "lo" in by_name["network.interface.rx"]["instances"]
    assert "/" not in by_name["cgroup.memory.usage"]["instances"]


def test_the_interval_is_a_second_unless_said_otherwise(sampled: Sampled) -> None:
    assert sampled("memory.used").meta()["interval"] == 1000
    assert '"interval":100,' in sampled("memory.used", interval=100.0).text()
    assert sampled("memory.used", interval=(1 << 31) - 1).meta()["interval"] == (1 << 31) - 1


def test_the_same_metric_several_times(sampled: Sampled) -> None:
    samples = sampled("cpu.basic.user", "cpu.basic.user", {"name": "cpu.basic.user", "derive": "delta"})
    assert len(samples.meta()["metrics"]) == 3
    first, second, delta = samples.data()
    assert first == second
    assert delta is False


def test_rates_are_per_second(sampled: Sampled) -> None:
    samples = sampled(
        *({"name": f"cpu.basic.{each}", "derive": "rate"} for each in ("user", "nice", "system")), interval=20
    )
    assert samples.point() == [False, False, False]
    for _ in range(10):
        rates = samples.point()
        assert all(type(rate) is float and 0 <= rate < 1_000_000 for rate in rates)


def test_unchanged_numbers_are_left_out(sampled: Sampled) -> None:
    samples = sampled("network.interface.rx", "disk.dev.read", "memory.swap-used", instances=["no-such"], interval=10)
    assert [each.get("instances") for each in samples.meta()["metrics"]] == [[], [], None]
    first = samples.data()
    assert first[:2] == [[], []]
    while samples.message() != [[]]:  # swap may be in use
        pass


def test_some_instances(sampled: Sampled) -> None:
    ((without_lo,),) = [
        [each["instances"] for each in sampled("network.interface.rx", omit_instances=["lo"]).meta()["metrics"]]
    ]
    assert "lo" not in without_lo
    ((lo_alone,),) = [
        [each["instances"] for each in sampled("network.interface.rx", instances=["lo", "x"]).meta()["metrics"]]
    ]
    assert lo_alone == ["lo"]


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"source": None}, "protocol-error", '"source"'),
    ({"source": 5}, "protocol-error", '"source"'),
    ({"source": "direct"}, "not-supported", "direct"),
    ({"source": "pmcd"}, "not-supported", "pmcd"),
    ({"source": "pcp-archive"}, "not-supported", "pcp-archive"),
    ({"source": "/var/log/pcp"}, "not-supported", "/var/log/pcp"),
    ({"source": "other"}, "not-supported", "other"),
    ({"metrics": None}, "protocol-error", '"metrics"'),
    ({"metrics": []}, "protocol-error", '"metrics"'),
    ({"metrics": {}}, "protocol-error", '"metrics"'),
    ({"metrics": [{"name": "memory.used"}] * 1001}, "protocol-error", '"metrics"'),
    ({"metrics": [{"name": "memory.used"}, "memory.used"]}, "protocol-error", '"metrics[1]"'),
    ({"metrics": [{}]}, "protocol-error", '"name" of "metrics[0]"'),
    ({"metrics": [{"name": 5}]}, "protocol-error", '"name" of "metrics[0]"'),
    ({"metrics": [{"name": "memory.used", "units": 5}]}, "protocol-error", '"units" of "metrics[0]"'),
    ({"metrics": [{"name": "memory.used", "derive": "mean"}]}, "protocol-error", '"derive" of "metrics[0]"'),
    ({"metrics": [{"name": "memory.used", "derive": 1}]}, "protocol-error", '"derive" of "metrics[0]"'),
    ({"metrics": [{"name": "memory.none"}]}, "not-supported", "memory.none"),
    ({"metrics": [{"name": "memory.used", "units": "millisec"}]}, "not-supported", "bytes"),
    ({"interval": 0}, "protocol-error", '"interval"'),
    ({"interval": -1}, "protocol-error", '"interval"'),
    ({"interval": 1 << 31}, "protocol-error", '"interval"'),
    ({"interval": 0.5}, "protocol-error", '"interval"'),
    ({"interval": "1000"}, "protocol-error", '"interval"'),
    ({"interval": True}, "protocol-error", '"interval"'),
    ({"instances": "lo"}, "protocol-error", '"instances"'),
    ({"instances": [1]}, "protocol-error", '"instances"'),
    ({"omit-instances": {}}, "protocol-error", '"omit-instances"'),
    ({"instances": ["lo"], "omit-instances": ["lo"]}, "protocol-error", '"omit-instances"'),
]  # fmt: skip


@pytest.mark.parametrize(("options", "problem", "told"), REFUSED)
def test_an_open_that_is_refused(
    options: dict[str, Any], problem: str, told: str, sampled: Sampled, shared_bridge: Bridge
) -> None:
    members = {"source": "internal", "metrics": [{"name": "memory.used"}], **options}
    front = shared_bridge.front_end
    front.message({"command": "open", "channel": "refused", "payload": "metrics1", **members})
    closed = front.expect("close", "refused")
    assert closed["problem"] == problem
    assert told in closed["message"]
    assert front.commands("refused")[-2:] in (["close"], ["close", "close"])
    front.log.clear()


def test_nothing_is_sent_to_it(sampled: Sampled) -> None:
    samples = sampled("memory.used", interval=10)
    samples.front.control("options", channel=samples.channel, interval="x")
    samples.front.control("done", channel=samples.channel)
    samples.front.control("done", channel=samples.channel)
    samples.front.round_trip(samples.channel)
    samples.point()
    samples.front.send(samples.channel, b"x")
    closed = samples.front.expect("close", samples.channel)
    assert closed["problem"] == "protocol-error"


def test_closed_while_it_samples(shared_bridge: Bridge) -> None:
    front = shared_bridge.front_end
    for number in range(20):
        channel = f"closed-{number}"
        Samples(front, *METRICS, channel=channel, interval=1)
        front.close(channel)
        front.expect("close", channel)
    front.sync()


def test_only_the_first_instances_are_shown(start: Start) -> None:
    bridge = start(limits={"metric_instances": 1})
    samples = Samples(bridge.front_end, "cpu.core.user", "block.device.read", interval=20)
    assert [len(each["instances"]) <= 1 for each in samples.meta()["metrics"]] == [True, True]
    samples.data()
    samples.point()
    assert len(bridge.log.matches("metric_instances.*cpu.core.user")) <= 1


def test_a_bridge_that_was_stopped_skips_what_it_missed(start: Start) -> None:
    bridge = start()
    samples = Samples(bridge.front_end, "cpu.basic.user", interval=50)
    began = samples.meta()["timestamp"]
    samples.data()
    bridge.signal(signal.SIGSTOP)
    time.sleep(0.5)  # ten samples
    bridge.signal(signal.SIGCONT)
    while not isinstance(message := samples.message(), dict):
        pass
    assert (message["timestamp"] - began) % 50 == 0
    assert message["timestamp"] - began >= 500


def test_a_front_end_that_is_slow_gets_no_old_samples(start: Start) -> None:
    front = start().front_end
    front.open("echo", "echo")
    front.expect("ready", "echo")
    samples = Samples(front, "cpu.basic.user", interval=50)
    began = samples.meta()["timestamp"]
    samples.data()
    front.reading = False
    for _ in range(4):
        front.send("echo", b"x" * 60_000)  # more than the pipe takes comes back
    while front.unread < 60_000:
        time.sleep(0.01)
    time.sleep(0.5)  # ten samples
    front.reading = True
    front.data("echo", 240_000)
    while not isinstance(message := samples.message(), dict):
        pass
    assert (message["timestamp"] - began) % 50 == 0
    assert message["timestamp"] - began >= 500


SET_CLOCK = """
import sys, time
from pathlib import Path

ahead, real = Path(sys.argv.pop(1)), time.time_ns
time.time_ns = lambda: real() + int(ahead.read_text()) * 1_000_000

from spanbridge.__main__ import main

sys.exit(main())
"""


def test_the_clock_is_set(home: Home) -> None:
    ahead = home.root / "ahead"

    def set_clock(milliseconds: int) -> None:
        new = home.root / "ahead.new"
        new.write_text(str(milliseconds))
        new.rename(ahead)

    set_clock(0)
    program = home.root / "with_clock.py"
    program.write_text(SET_CLOCK)
    with Bridge(home, command=[sys.executable, str(program), str(ahead)]) as bridge:
        bridge.front_end.expect("init", version=1)
        bridge.front_end.init()
        samples = Samples(bridge.front_end, "memory.used", interval=100)
        began = samples.meta()["timestamp"]
        samples.data()
        set_clock(-3_600_000)
        while (meta := samples.message()) and not (isinstance(meta, dict) and meta["timestamp"] < began):
            pass
        assert began - 3_600_000 < meta["timestamp"] < began
        assert len(samples.data()) == 1


def test_a_short_interval_takes_a_tenth_of_a_cpu_at_most(start: Start) -> None:
    bridge = start()
    samples = Samples(bridge.front_end, *METRICS, interval=1)
    began, first = time.monotonic(), cpu_seconds(bridge.pid)
    points = 0
    while points < 2 or time.monotonic() - began < 3:
        samples.point()
        points += 1
    took = cpu_seconds(bridge.pid) - first
    # A tenth is for sampling; what is saved up, the writing and the event loop come on top of it.
    assert took < 0.5 * (time.monotonic() - began)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_what_does_not_fit_a_frame(start: Start) -> None:
    """It closes its channel: whoever passes it on would end all that is served."""
    bridge = start(limits={"frame_bytes": 4_000})
    front = bridge.front_end
    metrics = [{"name": "memory.used"}] * 100
    front.open("long", "metrics1", source="internal", metrics=metrics)
    told = front.expect("close", "long", problem="too-large")["message"]
    assert told.endswith("expected at most 3995 (frame_bytes)")
    assert bridge.log.wait("limit name=frame_bytes value=4000")
    front.open("short", "metrics1", source="internal", metrics=metrics[:10])
    front.expect("ready", "short")
    assert front.take(lambda frame: frame.channel == "short", "what it is").payload.startswith(b"{")
