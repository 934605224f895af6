"""The same messages to spanbridge and to the C cockpit-bridge, side by side.

What differs on purpose is taken out by `comparable`, or is a test of its own (docs/internal-bus.md, "Differences").
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from spanbridge.testing.bridge import SPANBRIDGE, Bridge
from spanbridge.testing.front_end import FrontEnd
from spanbridge.testing.home import Home

from ..browser.parts import COCKPIT_BRIDGE, require
from .client import ERROR, PROPERTIES, BusClient

pytestmark = pytest.mark.cockpit

CONF = """\
# one
[Session]
IdleTimeout = 15
  Indented=yes
Banner=/etc/issue
With=a=b # c ; d
Quoted="x"
Escaped=a\\nb
Empty=
[DEFAULT]
A=1
[ Spaced ]
A=2
[session]
idletimeout = 20
"""
FILES = {
    "01.json": {"a": {"visible": True, "color": "red", "port": 22}, "b": {"load": 0.5}},
    "02.json": {"a": {"color": "blue"}, "c": {}},
    "03.txt": {"d": {}},
}


class Pair:
    def __init__(self, ours: BusClient, theirs: BusClient) -> None:
        self.ours = ours
        self.theirs = theirs

    def ask(self, message: dict[str, Any]) -> tuple[Any, Any]:
        return comparable(answers(self.ours, message)), comparable(answers(self.theirs, message))

    def check_alike(self, message: dict[str, Any]) -> None:
        ours, theirs = self.ask(message)
        assert ours == theirs, message


@pytest.fixture(scope="module")
def fronts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[FrontEnd]]:
    """Of both bridges, ours first."""
    require(COCKPIT_BRIDGE)
    with ExitStack() as stack:
        fronts = []
        for name, command in (("ours", str(SPANBRIDGE)), ("theirs", COCKPIT_BRIDGE)):
            home = Home(tmp_path_factory.mktemp(name))
            machines_d = home.config_dir / "cockpit" / "machines.d"
            machines_d.mkdir(parents=True)
            (machines_d.parent / "cockpit.conf").write_text(CONF)
            for file, content in FILES.items():
                (machines_d / file).write_text(json.dumps(content))
            # Theirs starts a bus and an agent where it finds none.
            environ = {
                "DBUS_SESSION_BUS_ADDRESS": f"unix:path={home.root}/no-bus",
                "SSH_AUTH_SOCK": f"{home.root}/no-agent",
            }
            front = stack.enter_context(Bridge(home, environ=environ, command=[command])).front_end
            front.expect("init", version=1)
            front.init()
            fronts.append(front)
        yield fronts


@pytest.fixture
def pair(fronts: list[FrontEnd], channel: str) -> Iterator[Pair]:
    """Channels of its own: what was watched on another is told there, whenever that may be."""
    yield Pair(*[BusClient(front, channel) for front in fronts])
    for front in fronts:
        front.close(channel)


def answers(client: BusClient, message: dict[str, Any]) -> list[dict[str, Any]]:
    """All messages up to the one that answers."""
    client.say({**message, "id": "1"})
    found = [client.next()]
    while "id" not in found[-1]:
        found.append(client.next())
    return found


def comparable(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what differs in any answer."""
    told: list[dict[str, Any]] = []
    for message in found:
        changed = dict(message)
        if "error" in message:
            changed = {"error": message["error"][0], "id": message["id"]}  # what is said is for people
        elif message.get("reply") == [None]:
            changed["reply"] = [[]]  # theirs of a method without results
        elif "notify" in message and told and "notify" in told[-1]:
            assert _says_nothing(message["notify"])  # theirs, when asked for the first time
            continue
        told.append(changed)
    return told


def _says_nothing(notify: dict[str, Any]) -> bool:
    return not any(properties for interfaces in notify.values() for properties in interfaces.values())


def call(path: str, interface: str, method: str, *arguments: Any, **members: Any) -> dict[str, Any]:
    return {"call": [path, interface, method, arguments], **members}


CONFIG = ("/config", "cockpit.Config")
MACHINES = ("/machines", "cockpit.Machines")
KEYS = [
    *(("Session", key) for key in ("IdleTimeout", "idletimeout", "INDENTED", "With", "Quoted", "Escaped", "Empty")),
    *(("session", "Banner"), ("DEFAULT", "A"), (" Spaced ", "A")),
]
NUMBERS = [
    *(("Session", "IdleTimeout", 1, most, least) for most, least in ((240, 0), (10, 0), (240, 30), (2, 3))),
    *(("Session", key, 7, 240, 0) for key in ("Nothing", "Banner")),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_values_of_the_configuration(pair: Pair, key: tuple[str, str]) -> None:
    pair.check_alike(call(*CONFIG, "GetString", *key))


@pytest.mark.parametrize("arguments", NUMBERS, ids=str)
def test_numbers_of_the_configuration(pair: Pair, arguments: tuple[Any, ...]) -> None:
    pair.check_alike(call(*CONFIG, "GetUInt", *arguments))


@pytest.mark.parametrize(
    "message",
    [
        call("/user", PROPERTIES, "Get", "cockpit.User", "Name"),
        call("/user", PROPERTIES, "Get", "cockpit.User", "Id", type="ss"),
        call("/user", PROPERTIES, "Get", "cockpit.User", "Id", type="ss", flags=""),
        call("/user", "org.freedesktop.DBus.Peer", "Ping"),
        call("/user", "org.freedesktop.DBus.Peer", "GetMachineId"),
        call("/config", PROPERTIES, "GetAll", "cockpit.Config"),
        call(*CONFIG, "Reload"),
        call(*MACHINES, "Update", "99-webui.json", "n", {"visible": {"t": "b", "v": True}, "port": {"t": "i", "v": 1}}),
        call(*MACHINES, "Update", "99-webui.json", "a", {"color": {"t": "s", "v": "green"}}),
        call("/LoginMessages", "cockpit.LoginMessages", "Get"),
        call("/LoginMessages", "cockpit.LoginMessages", "Dismiss"),
        call("/packages", "cockpit.Packages", "ReloadHint"),
    ],
    ids=lambda message: " ".join(message["call"][:3]),
)
def test_calls(pair: Pair, message: dict[str, Any]) -> None:
    pair.check_alike(message)


@pytest.mark.parametrize(
    "message",
    [
        call(*CONFIG, "GetString", "Session"),
        call(*CONFIG, "GetString", "Session", 4),
        call(*CONFIG, "GetString", "Session", "IdleTimeout", "x"),
        call(*CONFIG, "GetUInt", "Session", "IdleTimeout", 1, 240, -1),
        call(*CONFIG, "GetUInt", "Session", "IdleTimeout", 1.5, 240, 0),
        call(*CONFIG, "GetString", "Session", "IdleTimeout", type="s"),
        call(*MACHINES, "Update", "x.json", "h", {"visible": True}),
        call("/user", PROPERTIES, "Set", "cockpit.User", "Name", "x"),
        call("/config", "cockpit.Config", "Nothing", type=""),
    ],
    ids=lambda message: json.dumps(message)[:80],
)
def test_errors(pair: Pair, message: dict[str, Any]) -> None:
    pair.check_alike(message)


def test_machines(pair: Pair) -> None:
    pair.check_alike(call("/machines", PROPERTIES, "Get", "cockpit.Machines", "Machines"))


@pytest.mark.parametrize("path", ["/machines", "/config", "/LoginMessages"])
def test_watches(pair: Pair, path: str) -> None:
    pair.check_alike({"watch": {"path": path}})


def test_the_user_is_told_alike_and_we_tell_of_the_group(pair: Pair) -> None:
    ours, theirs = pair.ask({"watch": {"path": "/user", "interface": "cockpit.User"}})
    our_meta, our_notify = ours[0]["meta"]["cockpit.User"], ours[1]["notify"]["/user"]["cockpit.User"]
    their_meta, their_notify = theirs[0]["meta"]["cockpit.User"], theirs[1]["notify"]["/user"]["cockpit.User"]
    assert isinstance(our_notify.pop("Gid"), int)
    our_meta["properties"].pop("Gid")
    assert our_notify == their_notify
    assert our_meta == their_meta


@pytest.mark.parametrize(
    ("message", "ours", "theirs"),
    [
        (call("/nowhere", "a.b", "C"), "UnknownObject", "UnknownMethod"),
        (call("/user", "a.b", "C"), "UnknownInterface", "UnknownMethod"),
        (call("/user", PROPERTIES, "Get", "a.b", "C"), "UnknownInterface", "InvalidArgs"),
        (call("/user", PROPERTIES, "Get", "cockpit.User", "C"), "UnknownProperty", "InvalidArgs"),
        (
            call("/user", PROPERTIES, "Set", "cockpit.User", "Name", {"t": "s", "v": ""}),
            "PropertyReadOnly",
            "InvalidArgs",
        ),
    ],
    ids=lambda value: None if isinstance(value, dict) else value,
)
def test_errors_that_say_more(pair: Pair, message: dict[str, Any], ours: str, theirs: str) -> None:
    (our_answer,), (their_answer,) = pair.ask(message)
    assert (our_answer["error"], their_answer["error"]) == (ERROR + ours, ERROR + theirs)


def test_a_key_that_is_not_there_has_an_error_of_its_own(pair: Pair) -> None:
    (ours,), (theirs,) = pair.ask(call(*CONFIG, "GetString", "Session", "Nothing"))
    assert (ours["error"], theirs["error"]) == ("cockpit.Config.KeyError", ERROR + "Failed")
