"""A privileged helper as a process: its descriptors, its session, and the stderr that it may ask for."""

import os
import socket
import subprocess
from collections.abc import Sequence

import pytest

from spanbridge.testing.frames import Decoder, Frame, encode_control

from .site import Site


def told(site: Site, *arguments: str) -> tuple[dict[str, object], str]:
    """What the helper says of itself, and the bridge's log once it runs."""
    helper = [site.installation.python, "-I", "-S", str(site.installation.helpers / "socket_helper.py"), *arguments]
    bridge, _, superuser = site.superuser({"privileged": True, "spawn": helper, "label": "one"})
    superuser.call("Start", "one")
    (about,) = bridge.wait_note("about")
    assert bridge.children == [about["pid"]]
    return about, bridge.log.text


def test_it_has_a_socket_and_a_session_of_its_own_without_a_terminal(site: Site) -> None:
    about, _ = told(site)

    assert about["family"] == "AF_UNIX"
    assert about["kind"] == "SOCK_STREAM"
    assert about["one"] is True
    assert about["sid"] == about["pid"]
    assert about["terminal"] is False


def test_it_may_ask_for_our_stderr(site: Site) -> None:
    """One byte with one descriptor; what it says from then on is its own affair, and not quoted."""
    about, log = told(site, "send-stderr")

    assert (about["bytes"], about["descriptors"]) == (1, 1)
    assert "\nafter\n" in f"\n{log}"
    assert "before" not in log


def test_what_it_said_before_is_the_error_of_start(site: Site) -> None:
    command = [site.installation.python, "-I", "-S", str(site.installation.helpers / "socket_helper.py")]
    rule = {"privileged": True, "spawn": [*command, "send-stderr", "die"], "label": "one"}
    bridge, _, superuser = site.superuser(rule)

    assert superuser.fail("Start", "one").text == "before"
    assert bridge.log.matches("^after$")


# The other side: `spanbridge --privileged` with a socket as its stdin


class Privileged:
    """`spanbridge --privileged`, or `command`, on `ours`, the other end of its socket."""

    def __init__(self, site: Site, command: Sequence[str] = (), seconds: str = "15") -> None:
        self.ours, theirs = socket.socketpair()
        self.ours.settimeout(20)
        with theirs:
            self.process = subprocess.Popen(
                command or [str(site.installation.spanbridge), "--privileged"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.PIPE,
                env={"PATH": "/usr/bin:/bin", "SPANBRIDGE_STDERR_SECONDS": seconds},
            )
        self._decoder = Decoder()
        self._frames: list[Frame] = []

    def command(self) -> object:
        while not self._frames:
            data = self.ours.recv(1 << 16)
            assert data, self.end()
            self._frames += self._decoder.feed(data)
        return self._frames.pop(0).message["command"]

    def end(self) -> tuple[int, bytes]:
        """Wait; the exit status, and what it said on the stderr that it began with."""
        _, said = self.process.communicate(timeout=20)
        return self.process.returncode, said


def test_privileged_asks_for_a_stderr_and_moves_to_it(site: Site) -> None:
    privileged = Privileged(site)
    assert privileged.command() == "send-stderr"
    reading, writing = os.pipe()
    socket.send_fds(privileged.ours, [b"\0"], [writing])
    os.close(writing)

    assert privileged.command() == "init"
    privileged.ours.sendall(encode_control({"command": "init", "version": 1, "host": "localhost"}))
    privileged.ours.close()

    assert privileged.end() == (0, b"")
    with os.fdopen(reading) as log:
        assert "session-ends" in log.read()


def test_privileged_without_an_answer_ends_quietly(site: Site) -> None:
    privileged = Privileged(site)
    assert privileged.command() == "send-stderr"

    privileged.ours.close()

    assert privileged.end() == (0, b"")


IMPATIENT = """
import select, sys
class Poll:
    def register(self, fd, events):
        pass
    def poll(self, milliseconds):
        print(f"waited {milliseconds:.0f} ms", file=sys.stderr, flush=True)
        select.poll = real
        return []
real, select.poll = select.poll, Poll
sys.path.insert(0, sys.argv[1])
sys.argv = ["spanbridge", "--privileged"]
from spanbridge.cli import main
sys.exit(main())
"""
"""The bridge, with a clock that does not wait."""


@pytest.mark.parametrize(("seconds", "waited"), [("0.25", 250), ("1e9", 2**31 - 1)])
def test_how_long_privileged_waits_for_a_stderr(site: Site, seconds: str, waited: int) -> None:
    """And goes on with the one it has. The kernel waits some weeks at most."""
    command = [site.installation.python, "-I", "-S", "-c", IMPATIENT, str(site.installation.root / "lib")]
    privileged = Privileged(site, command, seconds)
    assert [privileged.command(), privileged.command()] == ["send-stderr", "init"]
    privileged.ours.close()
    status, said = privileged.end()
    assert status == 0
    assert f"waited {waited} ms" in said.decode()
    assert "limit name=stderr_seconds" in said.decode()


def test_privileged_has_no_packages_and_is_root(site: Site) -> None:
    site.home.package("test", site.privileged([], "one"))
    bridge, front, superuser = site.superuser(arguments=["--privileged"])

    assert front.log[0].message["packages"] == {}
    assert superuser.current == "root"
    assert superuser.bridges == []
    assert bridge.end() == 0
