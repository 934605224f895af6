"""The small objects through a bridge: /user, /config, /environment, /LoginMessages, /packages."""

import json
import os
import pwd
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spanbridge.payloads.bus.login_messages import read_messages
from spanbridge.testing.bridge import SPANBRIDGE, Bridge
from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import helper_rule, init, serve

from .client import PROPERTIES, BusClient

# /user


def test_the_user(client: BusClient) -> None:
    entry = pwd.getpwuid(os.getuid())
    (told,) = client.call("/user", PROPERTIES, "GetAll", "cockpit.User")
    groups = told.pop("Groups")
    assert told == {
        "Name": {"t": "s", "v": entry.pw_name},
        "Full": {"t": "s", "v": entry.pw_gecos.partition(",")[0]},
        "Id": {"t": "x", "v": entry.pw_uid},
        "Gid": {"t": "x", "v": entry.pw_gid},
        "Home": {"t": "s", "v": entry.pw_dir},
        "Shell": {"t": "s", "v": entry.pw_shell},
    }
    assert groups["t"] == "as"
    assert len(groups["v"]) == len(set(groups["v"])) >= 1


# /config


def get_string(client: BusClient, section: str, key: str) -> str:
    (value,) = client.call("/config", "cockpit.Config", "GetString", section, key)
    assert isinstance(value, str)
    return value


def write_conf(directory: Path, text: str) -> Path:
    conf = directory / "cockpit" / "cockpit.conf"
    conf.parent.mkdir(exist_ok=True)
    conf.write_text(text)
    return conf


def test_a_value_of_the_configuration(home: Home, bus: Callable[..., BusClient]) -> None:
    write_conf(home.config_dir, "[Session]\nIdleTimeout = 15\nBanner=/etc/issue\n")
    client = bus()
    assert get_string(client, "Session", "IdleTimeout") == "15"
    assert get_string(client, "session", "BANNER") == "/etc/issue"
    assert client.fail("/config", "cockpit.Config", "GetString", "Session", "WarnBeforeConnecting") == (
        "cockpit.Config.KeyError",
        "key WarnBeforeConnecting in section Session does not exist",
    )


def test_a_number_of_the_configuration(home: Home, bus: Callable[..., BusClient]) -> None:
    write_conf(home.config_dir, f"[S]\nIdle=15\nText=/etc\nNegative=-1\nEmpty=\nLong={'9' * 5_000}\n")
    client = bus()

    def number(key: str, default: int, most: int, least: int) -> Any:
        return client.call("/config", "cockpit.Config", "GetUInt", "S", key, default, most, least)

    assert number("Idle", 1, 240, 0) == [15]
    assert number("Idle", 1, 10, 0) == [10]
    assert number("Idle", 1, 240, 20) == [20]
    assert number("None", 7, 3, 0) == [7]
    for key in ("Text", "Negative", "Empty", "Long"):
        assert number(key, 7, 240, 0) == [7]


def test_the_first_directory_with_a_configuration_counts(home: Home, bus: Callable[..., BusClient]) -> None:
    first, second = home.root / "first", home.root / "second"
    for directory in (first, second):
        directory.mkdir()
    write_conf(second, "[S]\nA=second\nB=second\n")
    write_conf(home.config_dir, "[S]\nA=third\n")
    client = bus(environ={"XDG_CONFIG_DIRS": f"relative:{first}:{second}:{home.config_dir}"})
    assert get_string(client, "S", "A") == "second"
    write_conf(first, "[S]\nA=first\n")
    assert get_string(client, "S", "A") == "second"
    assert client.call("/config", "cockpit.Config", "Reload") == []
    assert get_string(client, "S", "A") == "first"
    assert client.fail("/config", "cockpit.Config", "GetString", "S", "B")[0] == "cockpit.Config.KeyError"


def test_a_malformed_line_of_the_configuration_is_one_warning(home: Home, start: Start) -> None:
    conf = write_conf(home.config_dir, "[S]\nA=1\nnonsense\n")
    bridge = start()
    client = BusClient(bridge.front_end)
    for _ in range(2):
        assert client.call("/config", "cockpit.Config", "GetString", "S", "A") == ["1"]
    (warning,) = bridge.log.matches("cockpit.conf")
    assert "warning" in warning
    assert str(conf) in warning
    assert "nonsense" in warning


# /environment


def test_the_environment(home: Home, bus: Callable[..., BusClient]) -> None:
    odd = b"caf\xe9".decode(errors="surrogateescape")
    told = bus(environ={"ODD": odd, "COCKPIT_LOGIN_MESSAGES_MEMFD": "99"}).get(
        "/environment", "cockpit.Environment", "Variables"
    )
    assert told["t"] == "a{ss}"
    assert told["v"]["ODD"] == "caf\N{REPLACEMENT CHARACTER}"
    assert told["v"]["HOME"] == home.environ["HOME"]
    assert "COCKPIT_LOGIN_MESSAGES_MEMFD" not in told["v"]


# /LoginMessages

MEMFD = "COCKPIT_LOGIN_MESSAGES_MEMFD"


# What cockpit-session does: the messages in a memfd, its number in the environment, and then the bridge.
_SESSION = """
import os, sys
number, content, variable, program = sys.argv[1:]
os.dup2(os.memfd_create("login messages"), int(number))
os.write(int(number), content.encode())
os.execve(program, [program], {**os.environ, variable: number})
"""


def after_login(home: Home, content: str, number: int = 9) -> Bridge:
    """A bridge that was left this content under this descriptor."""
    command = [sys.executable, "-I", "-c", _SESSION, str(number), content, MEMFD, str(SPANBRIDGE)]
    bridge = Bridge(home, command=command)
    bridge.front_end.expect("init", version=1)
    bridge.front_end.init()
    return bridge


def messages(client: BusClient) -> Any:
    (text,) = client.call("/LoginMessages", "cockpit.LoginMessages", "Get")
    return json.loads(text)


@pytest.mark.parametrize("number", [None, "1"])
def test_without_login_messages(start: Start, number: str | None) -> None:
    bridge = start(environ={} if number is None else {MEMFD: number})
    client = BusClient(bridge.front_end)
    assert messages(client) == {}
    assert client.call("/LoginMessages", "cockpit.LoginMessages", "Dismiss") == []
    assert messages(client) == {}
    assert len(bridge.log.matches("login-messages")) == (0 if number is None else 1)


def test_login_messages_until_they_are_dismissed(home: Home) -> None:
    with after_login(home, '{"last-login": 5, "fail-count": 0}') as bridge:
        client, other = BusClient(bridge.front_end), BusClient(bridge.front_end, "other")
        assert messages(client) == messages(other) == {"last-login": 5, "fail-count": 0}
        assert client.call("/LoginMessages", "cockpit.LoginMessages", "Dismiss") == []
        assert messages(client) == messages(other) == {}
        links = [os.readlink(link) for link in Path(f"/proc/{bridge.pid}/fd").iterdir()]
        assert not [link for link in links if "memfd" in link]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "{}"),
        (b"[]", "[]"),
        (b'{"a": ', '{"a": '),
        (b"Last login: today\n", "Last login: today\n"),
        (b'{"a": "\xff"}', '{"a": "\ufffd"}'),
        (b"[" * 100_000, "[" * 100_000),
    ],
    ids=["empty", "list", "cut", "plain", "no UTF-8", "deep"],
)
def test_login_messages_are_passed_as_they_are(content: bytes, text: str) -> None:
    fd = os.memfd_create("login messages")
    os.write(fd, content)
    assert read_messages(str(fd)) == text
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.close(fd)


def test_a_text_that_is_too_long() -> None:
    fd = os.memfd_create("login messages")
    os.write(fd, b"x" * (1 << 20) + b"x")
    with pytest.raises(ValueError, match="found more than 1048576 bytes"):
        read_messages(str(fd))
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.close(fd)


@pytest.mark.parametrize("number", ["", "x", "-1", "0", "2", "99999999999999999999", "٣"])
def test_what_is_no_descriptor_of_ours_to_read(number: str) -> None:
    with pytest.raises((OSError, ValueError)):
        read_messages(number)


# /packages


def manifests(client: BusClient) -> Any:
    told = client.get("/packages", "cockpit.Packages", "Manifests")
    assert told["t"] == "s"
    return json.loads(told["v"])


def test_all_manifests(home: Home, bus: Callable[..., BusClient]) -> None:
    home.package("one", label="One")
    home.write_manifest("two", json.dumps({"name": "second", "priority": 2}))
    assert manifests(bus()) == {
        "one": {"bridges": [], "label": "One"},
        "second": {"name": "second", "priority": 2},
    }


def test_a_reload_is_told_where_something_has_changed(home: Home, start: Start) -> None:
    home.package("one")
    bridge = start()
    client = BusClient(bridge.front_end)
    client.say({"watch": {"path": "/packages"}, "id": "1"})
    client.say({"add-match": {"path": "/packages", "interface": PROPERTIES}})
    client.settle()
    assert client.call("/packages", "cockpit.Packages", "Reload") == []
    home.package("two")
    client.say({"call": ["/packages", "cockpit.Packages", "Reload", []], "id": "2"})
    told = client.take("notify")["/packages"]["cockpit.Packages"]
    assert set(json.loads(told["Manifests"])) == {"one", "two"}
    signal = client.take("signal")
    assert signal[3] == ["cockpit.Packages", {"Manifests": {"t": "s", "v": told["Manifests"]}}, []]
    assert client.next() == {"reply": [[]], "id": "2"}
    assert len(bridge.log.matches("reloaded")) == 2


def test_the_first_hint_to_reload_is_passed_over(home: Home, start: Start) -> None:
    bridge = start()
    client, other = BusClient(bridge.front_end), BusClient(bridge.front_end, "other")
    home.package("late")
    assert client.call("/packages", "cockpit.Packages", "ReloadHint") == []
    assert manifests(client) == {}
    assert other.call("/packages", "cockpit.Packages", "ReloadHint") == []
    assert set(manifests(client)) == {"late"}


def test_a_manifest_that_changes_on_disk_is_told_if_that_is_asked_for(home: Home, start: Start) -> None:
    """New rules serve the next open, and helpers of the others stay."""
    test = helper_rule({"payload": "test"}, [init(), serve()])
    bridge = start(test, environ={"SPANBRIDGE_RELOAD_ON_CHANGE": "1"})
    front = bridge.front_end
    bridge.log.wait("reloaded")  # it watches
    front.open("a")
    pid = front.expect("ready", "a")["pid"]
    client = BusClient(front)
    client.say({"watch": {"path": "/packages"}, "id": "1"})
    client.settle()
    home.package("late", helper_rule({"payload": "late"}, [init(), serve()]))
    told = client.take("notify")["/packages"]["cockpit.Packages"]["Manifests"]
    assert set(json.loads(told)) == {"late", "test"}
    front.open("b", "late")
    front.expect("ready", "b")
    front.round_trip("a")
    assert pid in bridge.children


def test_helpers_do_not_get_the_number(start: Start) -> None:
    bridge = start(helper_rule({"payload": "test"}, [init(), serve()]), environ={MEMFD: "9"})
    bridge.front_end.open("a")
    assert MEMFD not in bridge.front_end.expect("ready", "a")["environ"]
