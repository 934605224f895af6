"""A password that was handed on is not in the bridge's memory any more (docs/superuser.md, "Passwords")."""

import os
import secrets

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.script import init, read, send, serve

from .client import SuperuserClient
from .site import Site

ASKS = [send("authorize", cookie="c1", challenge="plain1:", prompt="Password:"), read("authorize"), init(), serve()]


def memory_holds(pid: int, secret: bytes) -> bool:
    """Whether it is anywhere in the memory of a process that may be written to."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            area, rights = line.split()[:2]
            first, last = (int(address, 16) for address in area.split("-"))
            if rights.startswith("rw"):
                try:
                    memory.seek(first)
                    if secret in memory.read(last - first):
                        return True
                except (OSError, OverflowError):  # of the kernel's
                    continue
    return False


def go_on(bridge: Bridge) -> None:
    """Do what a session does: small objects that were freed are soon somebody else's."""
    front = bridge.front_end
    front.open("e", "echo", binary="raw")
    front.expect("ready", "e")
    for _ in range(300):
        front.send("e", os.urandom(2_000))
        front.round_trip("e")


def test_an_answer_to_authorize(site: Site) -> None:
    secret = secrets.token_hex(20)
    bridge = site.start(site.privileged(ASKS, "one"), superuser={"id": "one"})
    asked = bridge.front_end.expect("authorize")

    bridge.front_end.control("authorize", cookie=asked["cookie"], response=secret)
    bridge.front_end.expect("superuser-init-done")

    go_on(bridge)
    assert SuperuserClient(bridge.front_end).current == "one"
    assert not memory_holds(bridge.pid, secret.encode())
    assert secret not in bridge.log.text


def test_an_answer_to_a_prompt(site: Site) -> None:
    secret = secrets.token_hex(20)
    bridge, _, superuser = site.superuser(site.privileged(ASKS, "one"))
    started = superuser.begin("Start", "one")
    superuser.prompt()

    superuser.call("Answer", secret)
    superuser.outcome(started)

    go_on(bridge)
    assert superuser.current == "one"
    assert not memory_holds(bridge.pid, secret.encode())
    assert secret not in bridge.log.text
