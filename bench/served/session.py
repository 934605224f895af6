"""Memory: of many watches, and of a session that has used everything."""

import json
import subprocess
import tempfile
import time
from pathlib import Path

from bench.build import program
from bench.peers import Peer
from bench.run import Result
from bench.served import metrics
from bench.served.bus import message_bus
from bench.served.front import front_of
from bench.served.stage import SMALL

SETTLE_SECONDS = 0.5


def measure_watches(peer: Peer, directory: Path, count: int) -> Result:
    """`kib_each`: what a watch of one file costs, of `count`."""
    with front_of(peer.command, peer.environ) as front:

        def watch(first: int, last: int) -> None:
            for number in range(first, last):
                path = str(directory / f"file-{number:06}")
                front.open(f"w{number}", {"payload": "fswatch1", "path": path})
            front.expect_ready(last - first)

        watch(0, 1)
        before = front.rss_mib()
        watch(1, count + 1)
        time.sleep(SETTLE_SECONDS)
        return {"kib_each": 1024 * (front.rss_mib() - before) / count}


def measure_all(peer: Peer, stage: Path) -> Result:
    """`rss_mib` of a session with a terminal, that has read and written files, listed a directory, asked an HTTP server
    and a bus, and samples metrics; `private_mib` is its alone."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, message_bus() as address:
        socket = str(Path(directory, "server"))
        with subprocess.Popen([program("served-server"), socket, "http"], stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            server.stdout.readline()
            try:
                with front_of(peer.command, {**peer.environ, "DBUS_SESSION_BUS_ADDRESS": address}) as front:
                    terminal = {"payload": "stream", "spawn": ["cat"], "pty": True, "environ": ["TERM=xterm"]}
                    front.open("terminal", terminal)
                    front.expect("ready", "terminal")
                    front.open("read", {"payload": "fsread1", "path": str(stage / SMALL)})
                    front.expect("close", "read")
                    front.open("replace", {"payload": "fsreplace1", "path": str(stage / "replaced")})
                    front.send("replace", b"x" * 10_000)
                    front.control("done", channel="replace")
                    front.expect("close", "replace")
                    front.open("list", {"payload": "fslist1", "path": str(stage), "watch": False})
                    front.expect("close", "list")
                    front.open("watch", {"payload": "fswatch1", "path": str(stage / SMALL)})
                    front.expect("ready", "watch")
                    request = {"payload": "http-stream2", "unix": socket, "method": "GET", "path": "/bytes/100"}
                    front.open("http", request)
                    front.control("done", channel="http")
                    front.expect("close", "http")
                    front.open("bus", {"payload": "dbus-json3", "bus": "session", "name": "org.freedesktop.DBus"})
                    front.expect("ready", "bus")
                    call = ["/org/freedesktop/DBus", "org.freedesktop.DBus", "ListNames", []]
                    front.send("bus", json.dumps({"call": call, "id": "1"}).encode())
                    options = {"payload": "metrics1", "source": "internal", "metrics": metrics.METRICS_PAGE}
                    front.open("metrics", {**options, "interval": 100})
                    front.read_for(1.5)
                    return {"rss_mib": front.rss_mib(), "private_mib": front.private_mib()}
            finally:
                server.kill()
