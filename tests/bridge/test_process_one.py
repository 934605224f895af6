"""The bridge as process 1 of a container, where whatever is orphaned becomes its child."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from spanbridge.testing import processes
from spanbridge.testing.bridge import SPANBRIDGE
from spanbridge.testing.deadline import Deadline
from spanbridge.testing.home import Home
from spanbridge.testing.script import (
    close_fd,
    exit_with,
    forever,
    fork,
    helper_rule,
    ignore,
    init,
    note,
    serve,
    set_session,
)
from spanbridge.testing.start import starting

from ..files.client import Files
from ..missing import lack
from ..streams.client import Client

UNSHARE = ["unshare", "--pid", "--fork", "--kill-child"]


@pytest.fixture(autouse=True)
def _namespaces() -> None:
    tried = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        lack(f"no pid namespace of its own (root): {tried.stderr.strip()}")


def wait_reaped(pid: int) -> None:
    """Until none of its children is a zombie."""
    deadline = Deadline()
    while any(processes.state(child) == "Z" for child in processes.children(pid)):
        assert deadline.left, [processes.describe(child) for child in processes.children(pid)]
        time.sleep(0.01)  # nothing tells of it


def test_what_a_helper_leaves_is_ended(home: Home) -> None:
    """Though /proc, that of another namespace, does not show who is left."""
    left = [ignore(signal.SIGTERM), *[close_fd(fd) for fd in (0, 1, 2)], note("left"), forever()]
    rule = helper_rule({"payload": "test"}, [init(), fork(left), serve({"data": [exit_with(3)]})])
    with starting(home, [*UNSHARE, str(SPANBRIDGE)]) as start:
        bridge = start(rule, limits={"term_seconds": 0.1})
        bridge.front_end.open("a")
        bridge.front_end.expect("ready", "a")
        bridge.wait_note("left")
        family = [pid for pid in bridge.family if "fake_helper" in processes.describe(pid)]
        assert len(family) == 2
        bridge.front_end.send("a", b"die")
        bridge.front_end.expect("close", "a")
        assert not processes.wait_ended(family)
        bridge.front_end.sync()


def test_orphans_are_reaped(home: Home) -> None:
    orphan = [set_session(), fork([close_fd(1), note("orphan"), exit_with(0)]), exit_with(0)]
    rule = helper_rule({"payload": "test"}, [init(), serve({"data": [fork(orphan)]})])
    with starting(home, [*UNSHARE, str(SPANBRIDGE)]) as start:
        bridge = start(rule)
        front = bridge.front_end
        front.open("a")
        front.expect("ready", "a")
        (one,) = processes.children(bridge.pid)
        for count in range(1, 6):
            front.send("a", b"go")
            bridge.wait_note("orphan", count)
            front.round_trip("a")
        wait_reaped(one)
        front.close("a")
        front.expect("close", "a")
        front.open("b")
        front.expect("ready", "b")
        assert bridge.end() == 0
    assert not os.path.exists(f"/proc/{one}")


@pytest.mark.parametrize("pty", [False, True])
def test_what_the_bridge_serves_itself(home: Home, tmp_path: Path, pty: bool) -> None:
    """Programs keep their exit status though everything is reaped here; their orphans are reaped too."""
    with starting(home, [*UNSHARE, str(SPANBRIDGE)]) as start:
        bridge = start()
        (one,) = processes.children(bridge.pid)
        client = Client(bridge, "one")
        for status in (0, 3, 7):
            heard = client.heard(client.shell(f"(true &) ; echo here; exit {status}", pty=pty))
            assert heard.data.split() == [b"here"]
            assert heard.closed["exit-status"] == status
        heard = client.heard(client.shell("kill -KILL $$", pty=pty))
        assert heard.closed["exit-signal"] == "KILL"
        files = Files(bridge.front_end)
        assert files.replace(tmp_path / "file", b"content").problem is None
        assert files.read(tmp_path / "file").data == b"content"
        wait_reaped(one)
        assert bridge.end() == 0
