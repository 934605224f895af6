"""Programs in the place of ssh, and how they begin and end. No host is asked."""

import base64
from pathlib import Path

import pytest

from spanbridge.testing import processes
from spanbridge.testing.bridge import Bridge
from spanbridge.testing.plugin import Start

SSH = """#!/bin/sh
if [ "$1" = -V ]; then echo OpenSSH_9.2 >&2; exit 0; fi
exec <&- >&-
sleep 0.5
echo "alice@far: Permission denied (publickey)." >&2
exit 255
"""


def with_ssh(start: Start, place: Path, text: str, **limits: float) -> Bridge:
    """A bridge that finds this as ssh."""
    program = place / "bin/ssh"
    program.parent.mkdir()
    program.write_text(text)
    program.chmod(0o755)
    return start(environ={"PATH": f"{program.parent}:/usr/bin:/bin"}, limits=limits)


def test_its_last_words_count_however_late_they_come(start: Start, tmp_path: Path) -> None:
    """It closes its stdout before it says what is wrong, as on a machine with much to do."""
    front = with_ssh(start, tmp_path, SSH, last_words_seconds=0.01).front_end
    front.open("a", "echo", host="alice@far")
    closed = front.expect("close", "a")
    assert closed["problem"] == "authentication-failed"
    assert closed["auth-method-results"] == {"publickey": "not-provided"}


@pytest.mark.parametrize(("first", "words"), [("", "Permission denied"), ("#!/no/such/interpreter\n", "cannot run")])
def test_one_that_the_kernel_does_not_take(start: Start, tmp_path: Path, first: str, words: str) -> None:
    """/bin/sh runs one without a first line; of another it is said why it cannot be run."""
    front = with_ssh(start, tmp_path, first + SSH.partition("\n")[2]).front_end
    front.open("a", "echo", host="alice@far")
    assert words in front.expect("close", "a")["message"]


KEY = base64.b64encode((11).to_bytes(4) + b"ssh-ed25519" + bytes(36)).decode()

UNTRUSTED = """#!/bin/sh
case "$*" in
-V) echo OpenSSH_9.2 >&2; exit ;;
*waiting*) rm -r "${SPANBRIDGE_ASKPASS_SOCKET%/*}"; echo cleared >&2; exec sleep 1000 ;;
*accept-new*) f=${*#*UserKnownHostsFile=\\"}; echo "far ssh-ed25519 KEY" >"${f%%\\"*}" ;;
esac
echo "Host key verification failed." >&2
exit 255
""".replace("KEY", KEY)


def test_one_that_does_not_tell_its_version(start: Start, tmp_path: Path) -> None:
    """It is taken for an old one."""
    text = UNTRUSTED.replace("echo OpenSSH_9.2 >&2; exit", "exec sleep 1000")
    front = with_ssh(start, tmp_path, text, host_version_seconds=0.1).front_end
    front.open("a", "echo", host="far")
    assert front.expect("close", "a")["host-key"] == f"far ssh-ed25519 {KEY}"


@pytest.mark.parametrize("does", ["exec sleep 1000", "sleep 1000 & exec sleep 1000"])
def test_an_agent_that_does_not_start(start: Start, tmp_path: Path, does: str) -> None:
    """It ends, and what it has started."""
    program = tmp_path / "ssh-agent"
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SSH_AUTH_SOCK": ""}
    bridge = start(environ=environ, limits={"ssh_agent_seconds": 0.1})
    bridge.front_end.open("a", "stream", spawn=["true"])
    bridge.front_end.expect("close", "a")
    assert bridge.log.wait("no-ssh-agent .*ssh_agent_seconds")


def test_an_agent_that_may_take_for_ever(start: Start) -> None:
    """More than a clock can count."""
    bridge = start(environ={"SSH_AUTH_SOCK": ""}, limits={"ssh_agent_seconds": 1e300})
    bridge.front_end.open("a", "stream", spawn=["true"])
    assert "problem" not in bridge.front_end.expect("close", "a")
    bridge.log.wait("ssh-agent-started")


def test_somebody_clears_the_place_of_our_files(start: Start, tmp_path: Path) -> None:
    """As at the end of a user's last login: another one is made, and nothing is the worse for it."""
    bridge = with_ssh(start, tmp_path, UNTRUSTED)
    front = bridge.front_end
    front.open("before", "echo", host="waiting", **{"host-key": f"far ssh-ed25519 {KEY}"})
    bridge.log.wait("cleared")
    front.close("before")
    front.open("after", "echo", host="far")
    assert front.expect("close", "after")["host-key"] == f"far ssh-ed25519 {KEY}"
    assert bridge.end() == 0
    assert "unforeseen" not in bridge.log.text


def test_one_that_is_not_wanted_any_more(start: Start, tmp_path: Path) -> None:
    """However far it has come, it is ended; the kit looks for what is left."""
    bridge = with_ssh(start, tmp_path, '#!/bin/sh\n[ "$1" = -V ] || exec sleep 1000\n')
    front = bridge.front_end
    for number in range(40):
        front.open("a", "echo", host=f"alice@far{number}")
        front.close("a")
        if number % 2:
            front.sync()
    front.sync()
    assert processes.wait_ended(bridge.children) == []


def test_one_that_was_begun_for_an_open_that_is_too_large(start: Start, tmp_path: Path) -> None:
    bridge = with_ssh(start, tmp_path, '#!/bin/sh\n[ "$1" = -V ] || exec sleep 1000\n')
    front = bridge.front_end
    front.open("a", "echo", host="alice@far", much="x" * (1 << 20))
    assert "host_queue_bytes" in front.expect("close", "a")["message"]
    front.open("b", "echo", host="alice@other")
    bridge.log.wait("host-connecting host=alice@other")
    assert not bridge.log.matches("host-connecting host=alice@far")


@pytest.mark.parametrize(("seconds", "option"), [(7, "7"), (0.2, "1"), (0, None)])
def test_how_often_it_is_to_ask_whether_the_host_is_there(
    start: Start, tmp_path: Path, seconds: float, option: str | None
) -> None:
    """In whole seconds; with 0 nothing is said of it."""
    told = tmp_path / "told"
    text = f'#!/bin/sh\n[ "$1" = -V ] && exec echo OpenSSH_9.2 >&2\nprintf "%s\\n" "$@" >{told}\nexit 255\n'
    front = with_ssh(start, tmp_path, text, host_alive_seconds=seconds).front_end
    front.open("a", "echo", host="alice@far")
    front.expect("close", "a")
    found = [word for word in told.read_text().splitlines() if word.startswith("ServerAliveInterval=")]
    assert found == ([] if option is None else [f"ServerAliveInterval={option}"])
