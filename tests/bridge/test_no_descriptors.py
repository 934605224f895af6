"""No descriptor is left, when something is asked for that needs one, if only to be imported: that costs what was asked
for, and not the session."""

import resource
import sys

import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start

PROGRAM = """
import os, sys
os.geteuid = lambda: 1000  # somebody who has privileges to gain
sys.argv = ["spanbridge"]
from spanbridge.__main__ import main
sys.exit(main())
"""


def leave_none(bridge: Bridge) -> None:
    """For whatever it opens from now on."""
    bridge.front_end.sync()
    resource.prlimit(bridge.pid, resource.RLIMIT_NOFILE, (3, 3))


def test_the_first_open_for_another_host(start: Start) -> None:
    bridge = start()
    leave_none(bridge)
    front = bridge.front_end
    front.open("a", "echo", host="other")
    closed = front.expect("close", "a", problem="internal-error")
    assert "Too many open files" in closed["message"]
    front.sync()


@pytest.mark.parametrize(
    "way", [{"polkit": True}, {"method": "StartTransientUnit"}], ids=["by way of polkit", "by systemd"]
)
def test_the_first_start_of_a_privileged_helper(home: Home, way: dict[str, object]) -> None:
    home.package("test", {"privileged": True, "label": "x", "spawn": ["/bin/false"], **way})
    with Bridge(home, command=[sys.executable, "-c", PROGRAM]) as bridge:
        front = bridge.front_end
        front.expect("init", version=1)
        front.init()
        leave_none(bridge)
        front.init(superuser={"id": "any"})
        front.expect("superuser-init-done")
        front.sync()


def test_an_agent_that_could_not_be_ended_is_not_left_behind(home: Home) -> None:
    program = PROGRAM.replace("sys.argv =", "os.pidfd_open = lambda pid: os.close(-1)\nsys.argv =")
    with Bridge(home, command=[sys.executable, "-c", program], environ={"SSH_AUTH_SOCK": ""}) as bridge:
        front = bridge.front_end
        front.expect("init", version=1)
        front.init()
        front.open("a", "stream", spawn=["/bin/sh", "-c", 'test -z "$SSH_AUTH_SOCK"'])
        assert front.expect("close", "a")["exit-status"] == 0
        assert bridge.log.matches("no-ssh-agent")


@pytest.mark.parametrize("payload", ["echo", "stream", "fsinfo", "http-stream2", "dbus-json3"])
def test_the_first_use_of_a_payload(start: Start, payload: str) -> None:
    bridge = start()
    front = bridge.front_end
    front.sync()
    usual, most = resource.prlimit(bridge.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(bridge.pid, resource.RLIMIT_NOFILE, (3, most))
    front.open("a", payload)
    front.expect("close", "a", problem="internal-error", message=f"{payload}: Too many open files")
    assert "unforeseen" not in bridge.log.text
    resource.prlimit(bridge.pid, resource.RLIMIT_NOFILE, (usual, most))
    front.open("b", "echo")
    front.expect("ready", "b")
