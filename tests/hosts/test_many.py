"""A hundred hosts at once: some live, some are mute, some refuse; and what one of them does to the others."""

import os
import signal
from pathlib import Path

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.plugin import Start

from .farm import MUTE_PORT, PASSWORD, REFUSING_PORT, Farm
from .test_life import BRIEF, ssh_of

LIVING = [f"alice@127.1.0.{number}" for number in range(1, 61)]
MUTE = [f"alice@127.2.0.{number}:{MUTE_PORT}" for number in range(1, 21)]
REFUSING = [f"alice@127.3.0.{number}:{REFUSING_PORT}" for number in range(1, 21)]

FRAMES = 300  # of 64 KiB, from the one that floods
DYING = 20


def turned(bridge: Bridge) -> None:
    """The bridge answers for itself."""
    front = bridge.front_end
    front.send("local", b"here")
    assert front.data("local", 4) == b"here"


def echoed(bridge: Bridge, hosts: list[str], data: bytes) -> None:
    """Each gives back what it alone was sent."""
    for host in hosts:
        bridge.front_end.send(host, data + host.encode())
    for host in hosts:
        assert bridge.front_end.data(host, len(data) + len(host)) == data + host.encode()


def test_a_hundred_hosts(other: Farm, begin: Start) -> None:
    other.use_key()
    bridge = begin(limits=BRIEF)
    front = bridge.front_end
    front.open("local", "echo")
    for place in range(20):  # one after the other of each kind
        for host in (*LIVING[3 * place : 3 * place + 3], MUTE[place], REFUSING[place]):
            front.open(host, "echo", host=host)
    turned(bridge)
    for host in REFUSING:
        assert front.expect("close", host)["problem"] == "no-host"
        turned(bridge)
    for host in LIVING:
        front.expect("ready", host)
        turned(bridge)
    assert all(front.commands(host) == [] for host in MUTE)

    # One process each, and the one that watches over them all. By number: the ssh of a mute one may not be one yet.
    told = bridge.log.wait("host-connecting", 100)
    running = set(bridge.family)
    connecting = {int(line.partition(" pid=")[2].split()[0]) for line in told} & running
    assert len(connecting) == len(LIVING) + len(MUTE)
    assert {Path(f"/proc/{pid}/comm").read_text().strip() for pid in running - connecting} <= {"sh"}
    echoed(bridge, LIVING, b"one ")

    # One floods, one takes nothing, some are let in and some are not, rules are read anew.
    front.open("flood", "echo", host=LIVING[0], push=FRAMES)
    front.open("deaf", "echo", host="deaf@far")
    front.send("deaf", b"x" * 500_000)
    front.open("right", "echo", host="both@far", password=PASSWORD)
    front.open("wrong", "echo", host="both@other", password="not it")
    bridge.reload()
    echoed(bridge, LIVING[1:], b"two ")
    turned(bridge)
    front.expect("ready", "right")
    assert front.expect("close", "wrong")["problem"] == "authentication-failed"
    assert len(front.data("flood", FRAMES << 16)) == FRAMES << 16

    # Some die at once; the others do not notice.
    pid_of = {front_host(pid): pid for pid in ssh_of(bridge)}
    for host in LIVING[:DYING]:
        os.kill(pid_of[host], signal.SIGKILL)
    for host in LIVING[:DYING]:
        assert front.expect("close", host)["problem"] == "terminated"
    echoed(bridge, LIVING[DYING:], b"three ")
    turned(bridge)


def front_host(pid: int) -> str:
    """Whom an ssh is connected to, as the open has it."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    return f"{words[words.index('-l') + 1]}@{words[words.index('--') + 1]}"
