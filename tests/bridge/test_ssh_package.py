"""Debian's `ssh` package, as cockpit-bridge installs it: four rules with all that manifests can do."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import command, init, serve

from ..missing import lack

MANIFEST = Path("/usr/share/cockpit/ssh/manifest.json")

pytestmark = pytest.mark.cockpit


@pytest.fixture(autouse=True)
def _installed() -> None:
    if not MANIFEST.exists():
        lack(f"missing: {MANIFEST}", "cockpit-bridge")


UNKNOWN_HOSTS = {"COCKPIT_SSH_CONNECT_TO_UNKNOWN_HOSTS": "true"}

# members of the open -> position of the rule, arguments, and environ of its helper
OPENS: dict[str, tuple[dict[str, Any], int, list[str], dict[str, str]]] = {
    "host": ({"host": "far"}, 3, ["far"], {}),
    "user": ({"host": "far", "user": "admin"}, 2, ["admin@far"], {}),
    "port": ({"host": "far:2222", "user": "admin"}, 2, ["admin@far:2222"], {}),
    "key": ({"host": "far+key+abc", "user": "admin"}, 2, ["admin@far"], {}),
    "private": ({"host": "far", "session": "private"}, 1, ["far"], {**UNKNOWN_HOSTS, "COCKPIT_PRIVATE_{}": "{}"}),
    "private_user": (
        {"host": "far", "session": "private", "user": "admin"},
        0,
        ["admin@far"],
        {**UNKNOWN_HOSTS, "COCKPIT_PRIVATE_{}": "{}"},
    ),
    "shared": ({"host": "far", "session": "shared"}, 3, ["far"], {}),
    "null_user": ({"host": "far", "user": None}, 2, ["@far"], {}),
}


def test_it_loads_without_a_warning(home: Home, start: Start) -> None:
    home.write_manifest("ssh", MANIFEST.read_text())
    bridge = start(handshake=False)
    assert list(bridge.front_end.expect("init")["packages"]) == ["ssh"]
    assert bridge.end() == 0
    assert not bridge.log.matches("warning")


def test_what_each_open_expands_to(home: Home, start: Start) -> None:
    """With its own match, environ, arguments and timeout; only the program is ours."""
    manifest = json.loads(MANIFEST.read_text())
    for position, rule in enumerate(manifest["bridges"]):
        rule["spawn"] = command([init(), serve()], str(position), *rule["spawn"][1:])
    home.write_manifest("ssh", json.dumps(manifest))
    front = start().front_end
    for channel, (members, _, _, _) in OPENS.items():
        front.open(channel, **members)
    pids = {}
    for channel, (_, position, arguments, environ) in OPENS.items():
        ready = front.expect("ready", channel)
        assert ready["argv"] == [str(position), *arguments], channel
        expected = {name.format(channel): value.format(channel) for name, value in environ.items()}
        found = {name: value for name, value in ready["environ"].items() if name.startswith("COCKPIT_")}
        assert found == expected, channel
        pids[channel] = ready["pid"]
    assert pids["host"] == pids["shared"]
    assert pids["user"] == pids["key"]
    assert len(set(pids.values())) == len(pids) - 2


def test_a_private_session_whose_channel_is_no_name(home: Home, start: Start) -> None:
    """COCKPIT_PRIVATE_${channel} must be a name when it is expanded: all but `=` may be in one."""
    home.write_manifest("ssh", MANIFEST.read_text())
    front = start().front_end
    front.open("a=1", host="far", session="private")
    closed = front.expect("close", "a=1")
    assert closed["problem"] == "protocol-error"
    assert "channel" in closed["message"]
    front.open("a:1!2", host="far", session="private")
    assert front.expect("close", "a:1!2")["problem"] != "protocol-error"


def test_this_host_is_none_of_its_business(home: Home, start: Start) -> None:
    home.write_manifest("ssh", MANIFEST.read_text())
    bridge = start()
    front = bridge.front_end
    front.open("a", "echo", user="admin", host="localhost")
    front.expect("ready", "a")
    assert bridge.children == []


def test_the_real_program_and_a_port_where_nobody_listens(home: Home, start: Start) -> None:
    """${libexecdir} leads to the system's cockpit-ssh, which says what is wrong in its init: that is passed on."""
    home.write_manifest("ssh", MANIFEST.read_text())
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # taken, and not listening
        front = start().front_end
        front.open("a", host=f"127.0.0.1:{sock.getsockname()[1]}")
        closed = front.expect("close", "a")
    assert closed["problem"] in ("no-host", "not-supported", "unknown-hostkey", "unknown-host")
    front.sync()
    assert front.commands("a") == ["close"]
