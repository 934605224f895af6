"""D-Bus: calls, and many objects under one watch, on a private message bus."""

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.peers import Peer
from bench.run import Result, RunError
from bench.served.front import Front, front_of

OBJECTS = 10_000
NAME = "bench.Objects"

_ANSWERED = re.compile(rb'"id"\s*:\s*"w"')

_CALL = {"call": ["/org/freedesktop/DBus", "org.freedesktop.DBus", "GetId", []]}
_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


@contextmanager
def message_bus() -> Iterator[str]:
    """A message bus of its own; its address."""
    with tempfile.TemporaryDirectory(prefix="bench-bus-") as directory:
        config = Path(directory, "bus.conf")
        config.write_text(_CONFIG.format(socket=Path(directory, "socket")))
        command = ["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as daemon:
            assert daemon.stdout is not None
            try:
                yield daemon.stdout.readline().strip()
            finally:
                daemon.kill()


@contextmanager
def _on_bus(peer: Peer) -> Iterator[tuple[Front, str]]:
    with ExitStack() as stack:
        address = stack.enter_context(message_bus())
        environ = {**peer.environ, "DBUS_SESSION_BUS_ADDRESS": address}
        yield stack.enter_context(front_of(peer.command, environ)), address


def measure_calls(peer: Peer, depth: int, count: int) -> Result:
    """`count` times `depth` calls at once, answered by the bus itself: `p50_ns` of each time."""
    with _on_bus(peer) as (front, _):
        front.open("bus", {"payload": "dbus-json3", "bus": "session", "name": "org.freedesktop.DBus"})
        front.expect("ready", "bus")
        calls = b"".join(
            front.framed("bus", json.dumps({**_CALL, "id": str(number)}).encode()) for number in range(depth)
        )
        took = []
        for _ in range(count + count // 10 + 1):
            began = time.perf_counter_ns()
            front.write(calls)
            replies = 0
            while replies < depth:
                channel, payload = front.frame()
                if channel and b'"reply"' in payload:
                    replies += 1
                elif channel and b'"error"' in payload:
                    raise front.failed(payload.decode())
            took.append(time.perf_counter_ns() - began)
    measured = sorted(took[-count:])
    return {"p50_ns": measured[count // 2], "p99_ns": measured[count * 99 // 100]}


def measure_objects(peer: Peer) -> Result:
    """A watch of all objects of a service: until its answer, what the bridge grew by, and the longest of the round
    trips beside it."""
    with _on_bus(peer) as (front, address):
        service = subprocess.Popen(
            [sys.executable, "-m", "bench.served.objects", address], stdout=subprocess.PIPE, text=True
        )
        try:
            assert service.stdout is not None
            if service.stdout.readline() != "ready\n":
                raise RunError("the service did not start")
            front.open("echo", {"payload": "echo"})
            front.expect("ready", "echo")
            front.open("bus", {"payload": "dbus-json3", "bus": "session", "name": NAME})
            front.expect("ready", "bus")
            before = front.reset_peak()
            began = time.perf_counter()
            front.send("bus", json.dumps({"watch": {"path_namespace": "/objects"}, "id": "w"}).encode())
            longest, told = _until_answered(front)
            seconds = time.perf_counter() - began
            if told < OBJECTS:
                raise front.failed(f"{told} objects were told of")
            time.sleep(0.3)
            return {"ms": 1000 * seconds, "grown_mib": front.rss_mib() - before, "longest_ms": 1000 * longest}
        finally:
            service.kill()
            service.wait()


def _until_answered(front: Front) -> tuple[float, int]:
    """Echo after echo, until the watch is answered: the longest round trip, and how many objects were told of."""
    longest, told = 0.0, 0
    while True:
        began = time.perf_counter()
        front.send("echo", b"x")
        answered = False
        while True:
            channel, payload = front.frame()
            if channel == "echo":
                break
            told += payload.count(b'"/objects/')
            answered |= channel == "bus" and _ANSWERED.search(payload[-200:]) is not None
        longest = max(longest, time.perf_counter() - began)
        if answered:
            return longest, told
