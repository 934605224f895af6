"""The machine has no descriptor, or no process, left: the open fails with a problem, the session lives and recovers."""

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from spanbridge.testing import processes
from spanbridge.testing.bridge import SPANBRIDGE, Bridge
from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import exit_with, forever, fork, helper_rule, init, serve
from spanbridge.testing.start import starting

from ..superuser.conftest import directory, installation, site
from ..superuser.site import Site

__all__ = ["directory", "installation", "site"]

RULE = helper_rule({"payload": "test"}, [init(), serve()], "${tag}")


@contextmanager
def lowered(pid: int, which: int, soft: int) -> Iterator[None]:
    """One soft limit of a running process."""
    before = resource.prlimit(pid, which)
    resource.prlimit(pid, which, (soft, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, which, before)


def opens(bridge: Bridge, channel: str, tag: str) -> int:
    bridge.front_end.open(channel, tag=tag)
    return int(bridge.front_end.expect("ready", channel)["pid"])


def address_space(pid: int) -> int:
    """Bytes of memory that it has mapped, and a little: less than the stack of a thread takes."""
    text = Path(f"/proc/{pid}/statm").read_text()
    return int(text.split()[0]) * os.sysconf("SC_PAGE_SIZE") + (1 << 20)


@pytest.mark.parametrize("spare", range(8))
def test_no_descriptor_is_left(start: Start, spare: int) -> None:
    """Whichever of the descriptors of a helper is the first that cannot be had."""
    bridge = start(RULE, limits={"start_failures": 100})
    front = bridge.front_end
    pid = opens(bridge, "a", "1")
    highest = max(int(name) for name in os.listdir(f"/proc/{bridge.pid}/fd"))
    before = processes.descriptors(bridge.pid)
    with lowered(bridge.pid, resource.RLIMIT_NOFILE, highest + 1 + spare):
        front.open("b", tag="2")
        answer = front.take(lambda frame: frame.message.get("channel") == "b", "an answer").message
        if answer["command"] == "close":
            assert answer["problem"] == "not-supported"
            assert "Too many open files" in answer["message"]
            assert processes.descriptors(bridge.pid) == before
            assert bridge.children == [pid]
        else:
            assert spare > 3
        front.send("a", b"still there")
        assert front.data("a", 11) == b"still there"
    opens(bridge, "c", "3")
    assert bridge.end() == 0
    assert "Traceback" not in bridge.log.text


def test_no_descriptor_is_left_for_the_first_helper(start: Start) -> None:
    bridge = start(RULE)
    front = bridge.front_end
    front.sync()
    highest = max(int(name) for name in os.listdir(f"/proc/{bridge.pid}/fd"))
    with lowered(bridge.pid, resource.RLIMIT_NOFILE, highest + 1):
        front.open("a", tag="1")
        assert "Too many open files" in front.expect("close", "a", problem="not-supported")["message"]
    opens(bridge, "b", "2")
    assert bridge.end() == 0


@pytest.mark.parametrize("which", [resource.RLIMIT_NOFILE, resource.RLIMIT_AS], ids=["descriptors", "threads"])
def test_nothing_is_left_to_look_for_what_a_helper_leaves_behind(start: Start, which: int) -> None:
    steps = [fork([forever()]), init(), serve({"data": [exit_with(0)]})]
    bridge = start(RULE, helper_rule({"payload": "leaves"}, steps), limits={"term_seconds": 0.2})
    front = bridge.front_end
    opens(bridge, "a", "1")
    front.open("b", "leaves")
    front.expect("ready", "b")
    (child,) = set(bridge.family) - set(bridge.children)
    with lowered(bridge.pid, which, 3 if which == resource.RLIMIT_NOFILE else address_space(bridge.pid)):
        front.send("b", b"end")
        front.expect("close", "b", problem="terminated")
        assert processes.wait_ended([child]) == []
        front.send("a", b"still there")
        assert front.data("a", 11) == b"still there"
    assert bridge.end() == 0
    assert "unforeseen" not in bridge.log.text


def test_no_thread_is_left_to_look_for_privileged_bridges(site: Site) -> None:
    """As an ordinary user: root has no use for them."""
    bridge = site.start(site.privileged([init(), serve()], "one"))
    front = bridge.front_end
    front.sync()
    prlimit = [*site.user.prefix, "prlimit", "--pid", str(bridge.pid)]
    subprocess.run([*prlimit, f"--as={address_space(bridge.pid)}:"], check=True)
    front.open("bus", "dbus-json3", bus="internal")
    front.send("bus", b'{"call":["/superuser","cockpit.Superuser","Start",["one"]],"id":"1"}')
    assert "thread" in front.expect("close", "bus", problem="internal-error")["message"]
    front.init(superuser={"id": "one"})
    front.expect("superuser-init-done")
    subprocess.run([*prlimit, "--as=unlimited:"], check=True)
    front.init(superuser={"id": "nobody"})
    front.expect("superuser-init-done")
    assert bridge.log.wait("no privileged bridge 'nobody'; there are: one")
    assert bridge.end() == 0


def test_no_process_is_left(site: Site) -> None:
    """As an ordinary user: root may start as many as there is room for."""
    bridge = site.start({"match": {"payload": "test"}, "spawn": [*site.command([init(), serve()]), "${tag}"]})
    front = bridge.front_end
    opens(bridge, "a", "1")
    prlimit = [*site.user.prefix, "prlimit", "--pid", str(bridge.pid)]
    subprocess.run([*prlimit, "--nproc=1:"], check=True)
    front.open("b", tag="2")
    closed = front.expect("close", "b", problem="not-supported")
    assert "Resource temporarily unavailable" in closed["message"]
    front.send("a", b"still there")
    assert front.data("a", 11) == b"still there"
    subprocess.run([*prlimit, "--nproc=1000:"], check=True)
    opens(bridge, "c", "3")
    assert bridge.end() == 0
    assert "Traceback" not in bridge.log.text


def test_helpers_have_the_limit_that_the_bridge_was_started_with(home: Home) -> None:
    """The bridge itself has as many descriptors as it may."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    command = ["/bin/sh", "-c", 'ulimit -S -n 300; exec "$0" "$@"', str(SPANBRIDGE)]
    with starting(home, command) as start:
        bridge = start(RULE)
        bridge.front_end.open("a")
        helper = bridge.front_end.expect("ready", "a")["pid"]
        assert resource.prlimit(bridge.pid, resource.RLIMIT_NOFILE) == (most, most)
        assert resource.prlimit(helper, resource.RLIMIT_NOFILE) == (300, most)
