"""A privileged helper as a process: its descriptors, its session, and the stderr that it may ask for."""

import os
import socket
import subprocess

from spanbridge.testing.frames import Decoder, encode_control

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
    """`spanbridge --privileged` on `ours`, the other end of its socket."""

    def __init__(self, site: Site) -> None:
        self.ours, theirs = socket.socketpair()
        self.ours.settimeout(20)
        with theirs:
            self.process = subprocess.Popen(
                [str(site.installation.spanbridge), "--privileged"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.PIPE,
                env={"PATH": "/usr/bin:/bin", "SPANBRIDGE_STDERR_SECONDS": "15"},
            )
        self._decoder = Decoder()

    def command(self) -> object:
        while True:
            for frame in self._decoder.feed(self.ours.recv(1 << 16)):
                return frame.message["command"]

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


def test_privileged_has_no_packages_and_is_root(site: Site) -> None:
    site.home.package("test", site.privileged([], "one"))
    bridge, front, superuser = site.superuser(arguments=["--privileged"])

    assert front.log[0].message["packages"] == {}
    assert superuser.current == "root"
    assert superuser.bridges == []
    assert bridge.end() == 0
