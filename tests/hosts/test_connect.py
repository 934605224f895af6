"""Connecting to a real sshd: with a key, a password, or neither; to bridges of all kinds, or none."""

import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.plugin import Start

from ..missing import lack
from .farm import MUTE_PORT, PASSWORD, REFUSING_PORT, Farm
from .personas import BACKPORTS, C_BRIDGE

SESSIONS = ["shared", "private"]


def echo(bridge: Bridge, host: str, channel: str = "a", **members: str) -> None:
    """A channel to the host is open, and takes data there and back."""
    front = bridge.front_end
    front.open(channel, "echo", host=host, **members)
    front.expect("ready", channel)
    front.send(channel, b"to and fro")
    assert front.data(channel, 10) == b"to and fro"


@pytest.mark.parametrize("session", SESSIONS)
def test_with_a_key(other: Farm, begin: Start, session: str) -> None:
    other.use_key()
    bridge = begin()
    echo(bridge, "alice@far", session=session)
    assert len(bridge.log.matches(r"host-connected .*program=spanbridge")) == 1


@pytest.mark.parametrize("session", SESSIONS)
@pytest.mark.parametrize("user", ["alice", "kbd"])
def test_with_a_password(begin: Start, session: str, user: str) -> None:
    """`kbd` has keyboard-interactive alone."""
    bridge = begin()
    echo(bridge, f"{user}@far", session=session, password=PASSWORD)
    assert PASSWORD not in bridge.log.text


def test_the_user_of_the_open_wins(other: Farm, begin: Start) -> None:
    other.use_key()
    bridge = begin()
    echo(bridge, "nobody@far", user="alice")
    echo(bridge, "alice@far", "b", user="front")  # the session's own: none given
    assert len(bridge.log.matches("host-connected")) == 2


def test_opens_share_a_connection_also_while_it_comes_up(other: Farm, begin: Start) -> None:
    other.use_key()
    bridge = begin()
    front = bridge.front_end
    for channel in "abc":
        front.open(channel, "echo", host="alice@far")
        front.send(channel, channel.encode())
    for channel in "abc":
        assert front.data(channel, 1) == channel.encode()
    echo(bridge, "alice@far", "d")
    echo(bridge, "alice@far", "e", session="private")
    assert len(bridge.log.matches("host-connecting")) == 2


def test_without_a_key_or_password(begin: Start) -> None:
    front = begin().front_end
    front.open("a", "echo", host="alice@far")
    closed = front.expect("close", "a")
    assert closed["problem"] == closed.get("error") == "authentication-failed", closed
    assert closed["auth-method-results"] == dict.fromkeys(
        ("publickey", "password", "keyboard-interactive"), "not-provided"
    )
    assert "alice@far" in closed["message"]
    front.open("b", "echo", host="kbd@far", session="private")
    assert front.expect("close", "b")["auth-method-results"]["password"] == "not-provided"


def test_a_wrong_password(begin: Start) -> None:
    bridge = begin()
    front = bridge.front_end
    for channel, session in zip("ab", SESSIONS, strict=True):
        front.open(channel, "echo", host="alice@far", session=session, password="wrong one")
        closed = front.expect("close", channel)
        assert closed["problem"] == "authentication-failed", closed
        assert closed["auth-method-results"]["password"] == "denied"
    assert "wrong one" not in bridge.log.text
    echo(bridge, "alice@far", "c", password=PASSWORD)


@pytest.mark.parametrize("host", ["alice@[::1]", "alice@::1", "alice@six", "alice@[::1]:22", "alice@127.0.0.77:22"])
def test_addresses(other: Farm, begin: Start, host: str) -> None:
    other.use_key()
    echo(begin(), host)


def test_far_bridges_know_themselves_by_the_spelling(other: Farm, begin: Start) -> None:
    """An open with the host of its `init` is for the far bridge itself, also where that is spanbridge."""
    other.use_key()
    front = begin().front_end
    front.open("a", "dbus-json3", host="alice@far:22", bus="internal")
    front.expect("ready", "a")


# What is there on the far side


@pytest.mark.parametrize("shell", ["fish", "tcsh", "csh", "zsh", "noisy", "bannered", "forced"])
def test_any_login_shell_and_noise(other: Farm, begin: Start, shell: str) -> None:
    other.use_key()
    bridge = begin()
    echo(bridge, f"{shell}@far")
    noisy = shell not in ("bannered", "forced")
    assert bool(bridge.log.matches('host-noise .*line="Welcome to this machine"')) == noisy
    if shell == "bannered":
        assert bridge.log.matches('helper-stderr .*line="Authorized use only"')


def test_the_c_bridge(other: Farm, begin: Start) -> None:
    if not C_BRIDGE.exists():
        lack(f"{C_BRIDGE} is not installed: cockpit-bridge")
    other.use_key()
    bridge = begin()
    echo(bridge, "cbridge@far")
    assert bridge.log.matches("host-connected .*program=cockpit-bridge")


def test_the_python_bridge(other: Farm, begin: Start) -> None:
    if not BACKPORTS.exists():
        lack(f"{BACKPORTS} is not there (.ci/fetch-backports)")
    other.use_key()
    bridge = begin()
    echo(bridge, "pybridge@far")
    assert bridge.log.matches("host-connected .*program=cockpit-bridge")


PROBLEMS = {
    "nologin@far": ("no-cockpit", "login shell"),
    "nobridge@far": ("no-cockpit", "install"),
    "failing@far": ("internal-error", "I cannot"),
    "stranger@far": ("not-supported", "99999"),
    "refusing@far": ("access-denied", "no"),
    "endless@far": ("not-supported", "host_noise_bytes"),
    "alice@nonesuch": ("no-host", "nonesuch"),
    f"alice@far:{REFUSING_PORT}": ("no-host", "refused"),
}


@pytest.mark.parametrize("host", PROBLEMS)
def test_what_cannot_be_served(other: Farm, begin: Start, host: str) -> None:
    other.use_key()
    bridge = begin()
    front = bridge.front_end
    for channel, session in zip("ab", SESSIONS, strict=True):
        front.open(channel, "echo", host=host, session=session)
    for channel in "ab":
        closed = front.expect("close", channel)
        assert closed["problem"] == PROBLEMS[host][0]
        assert PROBLEMS[host][1] in closed["message"]
    front.sync()


@pytest.mark.parametrize("host", [f"alice@far:{MUTE_PORT}", "dumb@far"])
def test_one_that_does_not_answer(other: Farm, begin: Start, host: str) -> None:
    other.use_key()
    front = begin(limits={"host_connect_seconds": 2}).front_end
    front.open("a", "echo", host=host)
    assert front.expect("close", "a")["problem"] == "timeout"


@pytest.mark.parametrize("host", ["-oProxyCommand=touch x", "a b", "$(touch x)@far", "far:0", "alice@", "%h"])
def test_a_name_that_is_none(begin: Start, host: str) -> None:
    bridge = begin()
    front = bridge.front_end
    front.open("a", "echo", host=host)
    assert front.expect("close", "a")["problem"] == "no-host"
    assert bridge.children == []


@pytest.mark.parametrize(
    "members",
    [{"user": 5}, {"password": True}, {"session": "other"}, {"host-key": "nonsense"}, {"init-superuser": {}}],
    ids=str,
)
def test_a_member_of_the_wrong_type(begin: Start, members: dict[str, object]) -> None:
    bridge = begin()
    front = bridge.front_end
    front.message({"command": "open", "channel": "a", "payload": "echo", "host": "far", **members})
    closed = front.expect("close", "a")
    assert closed["problem"] == "protocol-error"
    assert next(iter(members)) in closed["message"]
    assert bridge.children == []


def test_it_can_be_turned_off(begin: Start) -> None:
    bridge = begin(limits={"hosts": 0})
    front = bridge.front_end
    front.open("a", "echo", host="alice@far")
    assert front.expect("close", "a")["problem"] == "no-host"
    assert bridge.children == []


def test_without_an_ssh(begin: Start) -> None:
    front = begin(environ={"PATH": "/nonexistent"}).front_end
    front.open("a", "echo", host="alice@far")
    closed = front.expect("close", "a")
    assert closed["problem"] == "internal-error"
    assert "OpenSSH" in closed["message"]
