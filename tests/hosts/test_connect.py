"""Connecting to a real sshd: with a key, a password, or neither; to bridges of all kinds, or none."""

import secrets

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.plugin import Start

from ..missing import lack
from ..superuser.test_memory import go_on, memory_holds
from .farm import ADMINISTRATOR, MUTE_PORT, PASSWORD, REFUSING_PORT, Farm
from .personas import BACKPORTS, C_BRIDGE

SESSIONS = ["shared", "private"]


def echo(bridge: Bridge, host: str, channel: str = "a", **members: str) -> None:
    """A channel to the host is open, and takes data there and back."""
    front = bridge.front_end
    front.open(channel, "echo", host=host, **members)
    front.expect("ready", channel)
    front.send(channel, b"to and fro")
    assert front.data(channel, 10) == b"to and fro"


def test_with_a_key(other: Farm, begin: Start) -> None:
    other.use_key()
    bridge = begin()
    for session in SESSIONS:
        echo(bridge, "alice@far", session, session=session)
    assert len(bridge.log.matches(r"host-connected .*program=spanbridge")) == 2


def test_with_a_password(begin: Start) -> None:
    """`kbd` has keyboard-interactive alone."""
    bridge = begin()
    for session in SESSIONS:
        for user in ("alice", "kbd"):
            echo(bridge, f"{user}@far", f"{user}-{session}", session=session, password=PASSWORD)
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


def test_a_password_is_not_in_memory_any_more(begin: Start) -> None:
    """Once it was used up; be it right or wrong."""
    secret = secrets.token_hex(20)
    bridge = begin()
    bridge.front_end.open("a", "echo", host="alice@far", password=secret)
    assert bridge.front_end.expect("close", "a")["problem"] == "authentication-failed"
    go_on(bridge)
    assert not memory_holds(bridge.pid, secret.encode())


ADDRESSES = ["alice@[::1]", "alice@::1", "alice@six", "alice@[::1]:22", "alice@127.0.0.77:22"]


def test_addresses(other: Farm, begin: Start) -> None:
    other.use_key()
    front = begin().front_end
    for host in ADDRESSES:
        front.open(host, "echo", host=host)
    for host in ADDRESSES:
        front.expect("ready", host)


def test_far_bridges_know_themselves_by_the_spelling(other: Farm, begin: Start) -> None:
    """An open with the host of its `init` is for the far bridge itself, also where that is spanbridge."""
    other.use_key()
    front = begin().front_end
    front.open("a", "dbus-json3", host=f"{ADMINISTRATOR}@far:22", bus="internal")
    front.expect("ready", "a")


# What is there on the far side


NOISY = ["fish", "tcsh", "csh", "zsh", "noisy"]


def test_any_login_shell_and_noise(other: Farm, begin: Start) -> None:
    other.use_key()
    bridge = begin()
    for shell in (*NOISY, "bannered", "forced"):
        bridge.front_end.open(shell, "echo", host=f"{shell}@far")
    for shell in (*NOISY, "bannered", "forced"):
        bridge.front_end.expect("ready", shell)
    noise = bridge.log.matches('host-noise .*line="Welcome to this machine"')
    assert {shell for shell in NOISY if any(f"{shell}@far" in line for line in noise)} == {*NOISY}
    assert len(noise) == len(NOISY)
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
    "silent@far": ("access-denied", "refuses"),
    "endless@far": ("not-supported", "host_noise_bytes"),
    "alice@nonesuch": ("no-host", "nonesuch"),
    f"alice@far:{REFUSING_PORT}": ("no-host", "refused"),
}


def test_what_cannot_be_served(other: Farm, begin: Start) -> None:
    other.use_key()
    front = begin().front_end
    for host in PROBLEMS:
        for session in SESSIONS:
            front.open(f"{session} {host}", "echo", host=host, session=session)
    for host, (problem, words) in PROBLEMS.items():
        for session in SESSIONS:
            closed = front.expect("close", f"{session} {host}")
            assert closed["problem"] == problem, closed
            assert words in closed["message"]
            assert host in closed["message"]
    front.sync()


def test_one_that_does_not_answer(other: Farm, begin: Start) -> None:
    other.use_key()
    front = begin(limits={"host_connect_seconds": 2}).front_end
    hosts = [f"alice@far:{MUTE_PORT}", "dumb@far"]
    for host in hosts:
        front.open(host, "echo", host=host)
    for host in hosts:
        assert front.expect("close", host)["problem"] == "timeout"


def test_a_name_that_is_none(begin: Start) -> None:
    bridge = begin()
    for host in ("-oProxyCommand=touch x", "a b", "$(touch x)@far", "far:0", "alice@", "%h"):
        bridge.front_end.open("a", "echo", host=host)
        assert bridge.front_end.expect("close", "a")["problem"] == "no-host"
    assert bridge.children == []


def test_a_member_of_the_wrong_type(begin: Start) -> None:
    bridge = begin()
    members = [("user", 5), ("password", True), ("session", "other"), ("host-key", "nonsense"), ("init-superuser", {})]
    for name, value in (*members, ("password", f"{PASSWORD}\r")):  # of which ssh takes what is before
        opened = {"command": "open", "channel": "a", "payload": "echo", "host": "far", name: value}
        bridge.front_end.message(opened)
        closed = bridge.front_end.expect("close", "a")
        assert closed["problem"] == "protocol-error"
        assert name in closed["message"]
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
