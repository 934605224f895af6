"""How connections begin, are shared, and end; what waits for them; what is left behind."""

import os
import re
import signal
from pathlib import Path

import pytest

from spanbridge.testing import processes
from spanbridge.testing.bridge import SPANBRIDGE, Bridge
from spanbridge.testing.front_end import FrontEnd
from spanbridge.testing.plugin import Start

from .farm import MUTE_PORT, PASSWORD, REFUSING_PORT, Farm
from .test_connect import echo

MUTE = f"alice@far:{MUTE_PORT}"
BRIEF = {"exit_seconds": 0.5}  # one that comes up has half of it at the end of a session


def ssh_of(bridge: Bridge) -> list[int]:
    """Its ssh processes."""
    found = []
    for pid in bridge.family:
        try:
            name = Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:
            continue
        if name == "ssh":
            found.append(pid)
    return found


def test_a_private_connection_ends_with_its_channel(other: Farm, begin: Start) -> None:
    other.use_key()
    bridge = begin()
    echo(bridge, "alice@far", session="private")
    (pid,) = ssh_of(bridge)
    bridge.front_end.close("a")
    assert processes.wait_ended([pid]) == []
    assert bridge.log.wait("host-ended")


def test_an_idle_connection_ends(other: Farm, begin: Start) -> None:
    other.use_key()
    bridge = begin(limits={"host_idle_seconds": 0.5})
    echo(bridge, "alice@far")
    (pid,) = ssh_of(bridge)
    bridge.front_end.close("a")
    assert processes.wait_ended([pid]) == []


def test_nobody_waits_for_it_any_more(other: Farm, begin: Start) -> None:
    """ssh is ended at once, not after its time."""
    bridge = begin()
    front = bridge.front_end
    for channel in "ab":
        front.open(channel, "echo", host=MUTE)
    (told,) = bridge.log.wait("host-connecting")
    pid = int(told.partition(" pid=")[2].split()[0])
    front.close("a")
    front.sync()
    assert processes.state(pid)
    front.close("b")
    assert processes.wait_ended([pid]) == []


def test_ssh_ends_under_a_channel(other: Farm, begin: Start) -> None:
    other.use_key()
    bridge = begin()
    echo(bridge, "alice@far")
    os.kill(ssh_of(bridge)[0], signal.SIGKILL)
    closed = bridge.front_end.expect("close", "a")
    assert closed["problem"] == "terminated"
    assert "alice@far" in closed["message"]
    echo(bridge, "alice@far", "b")


def still_there(front: FrontEnd, channel: str = "b") -> None:
    front.send(channel, b"still there")
    assert front.data(channel, 11) == b"still there"


def test_the_front_end_kills_a_host(other: Farm, begin: Start) -> None:
    """By the spelling."""
    other.use_key()
    bridge = begin()
    echo(bridge, "alice@far")
    echo(bridge, "alice@far:22", "b")
    bridge.front_end.control("kill", host="alice@far")
    assert bridge.front_end.expect("close", "a")["problem"] == "terminated"
    still_there(bridge.front_end)


def test_what_waits_for_a_host_has_a_bound(begin: Start) -> None:
    """The channel that overfills it is closed; the others, and the session, go on."""
    bridge = begin(limits={"host_queue_bytes": 10_000, **BRIEF})
    front = bridge.front_end
    front.open("a", "echo", host=MUTE)
    front.open("b", "echo", host=MUTE)
    front.send("a", b"x" * 4_000)
    front.send("b", b"x" * 8_000)
    closed = front.expect("close", "b")
    assert closed["problem"] == "internal-error"
    assert "host_queue_bytes" in closed["message"]
    front.sync()
    assert front.commands("a") == []


def test_at_the_limit_an_idle_one_makes_room(other: Farm, begin: Start) -> None:
    other.use_key()
    bridge = begin(limits={"hosts": 2})
    front = bridge.front_end
    echo(bridge, "alice@far")
    echo(bridge, "alice@other", "b")
    front.open("c", "echo", host="alice@jump")
    closed = front.expect("close", "c")
    assert closed["problem"] == "internal-error"
    assert "hosts" in closed["message"]
    front.close("a")
    echo(bridge, "alice@jump", "d")
    still_there(front)


def test_dead_hosts_do_not_hold_up_a_living_one(other: Farm, begin: Start) -> None:
    """Though fewer places are there than dead hosts, which keep theirs for a while."""
    other.use_key()
    bridge = begin(limits={"host_starts": 1, "host_start_seconds": 0.1, **BRIEF})
    front = bridge.front_end
    for number in range(2):
        front.open(f"dead-{number}", "echo", host=f"127.0.2.{number + 1}:{MUTE_PORT}")
    echo(bridge, "alice@far")
    assert all(front.commands(f"dead-{number}") == [] for number in range(2))


@pytest.mark.parametrize("how", ["end of file", "SIGTERM", "SIGKILL"])
def test_nothing_is_left_of_a_session(other: Farm, begin: Start, how: str) -> None:
    """The kit looks for whatever was started."""
    other.use_key()
    bridge = begin(environ={"SSH_AUTH_SOCK": ""})
    front = bridge.front_end
    living = [f"alice@127.4.0.{number}" for number in range(1, 9)]
    mute = [f"alice@127.5.0.{number}:{MUTE_PORT}" for number in range(1, 4)]
    refusing = [f"alice@127.6.0.{number}:{REFUSING_PORT}" for number in range(1, 4)]
    for host in (*living, *mute, *refusing):
        front.open(host, "echo", host=host)
    for host in living:
        front.expect("ready", host)
    front.open("last", "echo", host="alice@127.7.0.1")  # on its way
    if how == "SIGKILL":
        bridge.signal(signal.SIGKILL)
        assert bridge.wait() == -signal.SIGKILL
    elif how == "SIGTERM":
        bridge.signal(signal.SIGTERM)
        assert bridge.wait() == 0
    else:
        assert bridge.end() == 0
    bridge.check_nothing_left()
    if how != "SIGKILL":
        runtime = Path(bridge.environ["XDG_RUNTIME_DIR"])
        assert [path.name for path in runtime.iterdir() if path.name.startswith("spanbridge-")] == []


# What is nobody's business


def test_a_password_is_nowhere_but_at_the_host(other: Farm, begin: Start) -> None:
    """Not in an argument, an environment or the log, of all that runs meanwhile."""
    bridge = begin(environ={"SPANBRIDGE_DEBUG": "front,open,helper,superuser"}, limits=BRIEF)
    bridge.front_end.open("mute", "echo", host=MUTE, password=PASSWORD)
    echo(bridge, "alice@far", password=PASSWORD)
    seen = b""
    for pid in [bridge.pid, *bridge.family]:
        for name in ("cmdline", "environ"):
            seen += Path(f"/proc/{pid}/{name}").read_bytes()
    assert PASSWORD.encode() not in seen
    assert PASSWORD not in bridge.log.text
    assert PASSWORD not in other.log


def test_no_secret_goes_on_to_the_far_bridge(other: Farm, begin: Start) -> None:
    """It gets the open without them, and all else of it."""
    bridge = begin()
    bridge.front_end.open("a", "echo", host="reflecting@far", password=PASSWORD, user="reflecting", extra={"a": 1})
    ready = bridge.front_end.expect("ready", "a")
    assert ready["open"] == {
        "command": "open",
        "channel": "a",
        "payload": "echo",
        "host": "reflecting@far",
        "user": "reflecting",
        "extra": {"a": 1},
    }
    assert ready["init"] == {"command": "init", "version": 1, "host": "reflecting@far", "superuser": False}


# Administrative access over there


def test_the_far_superuser_gets_the_password_once(begin: Start) -> None:
    """Of the open, if that has asked for it; never of this machine."""
    front = begin().front_end
    front.open("a", "echo", host="reflecting@far", password=PASSWORD, **{"init-superuser": "sudo"})
    ready = front.expect("ready", "a")
    assert ready["init"]["superuser"] == {"id": "sudo"}
    assert ready["answers"] == [PASSWORD, ""]
    front.open("b", "echo", host="reflecting@far", session="private", password=PASSWORD)
    ready = front.expect("ready", "b")
    assert ready["init"]["superuser"] is False
    assert ready["answers"] == ["", ""]


# An agent


def test_a_session_without_an_agent_gets_one(other: Farm, begin: Start) -> None:
    """Programs have it, and a key that is loaded lets ssh in."""
    other.use_key("locked")
    bridge = begin(environ={"SSH_AUTH_SOCK": ""})
    front = bridge.front_end
    front.open("a", "echo", host="alice@far")
    assert "locked identity" in front.expect("close", "a")["error"]
    socket = bridge.log.wait("ssh-agent-started")
    assert socket
    other.add_key(next(Path(bridge.environ["XDG_RUNTIME_DIR"]).glob("spanbridge-agent-*/socket")), "user")
    echo(bridge, "alice@far", "b")


def test_a_session_with_an_agent_keeps_it(other: Farm, begin: Start) -> None:
    other.use_key()
    bridge = begin()
    echo(bridge, "alice@far")
    assert not bridge.log.matches("ssh-agent-started")


def test_status_lists_connections(other: Farm, begin: Start) -> None:
    other.use_key()
    bridge = begin()
    echo(bridge, "far", user="alice", session="private")
    told = other.run(SPANBRIDGE, "status", environ=bridge.environ)
    assert re.search(r"ssh alice@far +[0-9]+ +ready", told)
    assert re.search(r"(?m)^ +ssh far user=alice channel=a$", told)
