"""Which privileged helpers are offered, and under which id: `Bridges` and `Methods`."""

import json
import os
from typing import Any

import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.gate import Gate
from spanbridge.testing.script import Rule, init, serve

from ..bus.client import BusClient
from .site import Site

GOOD = [init(), serve()]


def label_of(text: str) -> dict[str, object]:
    return {"t": "a{sv}", "v": {"label": {"t": "s", "v": text}}}


def test_none(site: Site) -> None:
    _, _, superuser = site.superuser(site.helper({"payload": "test"}, GOOD))

    assert superuser.bridges == []
    assert superuser.methods == {}
    assert "there are: none" in superuser.fail("Start", "sudo").text


def test_without_a_label_the_id_is_the_name_of_the_program(site: Site) -> None:
    _, _, superuser = site.superuser(site.named("first", GOOD), site.named("second", GOOD))

    assert superuser.bridges == ["first", "second"]
    assert superuser.methods == {}
    superuser.call("Start", "second")
    assert superuser.current == "second"


def test_with_a_label_the_id_is_the_label(site: Site) -> None:
    _, _, superuser = site.superuser(site.named("first", GOOD), site.privileged(GOOD, "two"))

    assert superuser.bridges == ["first", "two"]
    assert superuser.methods == {"two": label_of("two")}


def test_two_labelled(site: Site) -> None:
    _, _, superuser = site.superuser(site.privileged(GOOD, "one"), site.privileged(GOOD, "two"))

    assert superuser.bridges == ["one", "two"]
    assert superuser.methods == {"one": label_of("one"), "two": label_of("two")}


@pytest.mark.parametrize("label", ["Become the administrator", "Verwalter für Österreich", "管理者 🔑", 'a "b" \\ c'])
def test_a_label_is_any_text(site: Site, label: str) -> None:
    _, _, superuser = site.superuser(site.privileged(GOOD, label))

    assert superuser.bridges == [label]
    assert superuser.methods == {label: label_of(label)}
    superuser.call("Start", label)
    assert superuser.current == label
    superuser.wait_current(label)


def test_the_second_of_the_same_label_is_left_out_with_one_warning(site: Site) -> None:
    """Whoever picks `one` gets the first."""
    bridge, front, superuser = site.superuser(
        site.privileged(GOOD, "one", environ=["WHICH=first"]),
        site.privileged(GOOD, "one", environ=["WHICH=second"]),
        site.privileged(GOOD, "two"),
    )

    assert superuser.bridges == ["one", "two"]
    superuser.call("Start", "one")
    front.open("c", superuser="require")
    assert front.expect("ready", "c")["environ"]["WHICH"] == "first"
    (warning,) = bridge.log.matches("privileged-twice")
    assert "label=one" in warning
    assert "manifest.json" in warning


@pytest.mark.parametrize("program", ["no-such-program", "/nonexistent/program", "not-executable"])
def test_a_program_that_is_not_there_is_not_offered(site: Site, program: str) -> None:
    (site.programs / "not-executable").write_text("#!/bin/sh\n")
    path = f"{site.programs}:/usr/bin:/bin"
    rule: Rule = {"privileged": True, "spawn": [program], "label": "gone"}

    _, _, superuser = site.superuser(rule, site.privileged(GOOD, "one"), environ={"PATH": path})

    assert superuser.bridges == ["one"]
    assert "no privileged bridge 'gone'" in superuser.fail("Start", "gone").text


def test_where_a_program_is_looked_for(site: Site) -> None:
    """From the directory of the rule, which must be there."""
    program = site.program("escalate", GOOD)
    rules: list[Rule] = [
        {"privileged": True, "spawn": ["./escalate"], "directory": str(directory), "label": directory.name}
        for directory in (program.parent, site.programs / "gone")
    ]

    _, _, superuser = site.superuser(*rules)

    assert superuser.bridges == [program.parent.name]
    superuser.call("Start", program.parent.name)


def test_a_program_is_found_in_the_path(site: Site) -> None:
    site.program("escalate", GOOD)
    path = f"{site.programs}:/usr/bin:/bin"

    _, _, superuser = site.superuser({"privileged": True, "spawn": ["escalate"]}, environ={"PATH": path})

    assert superuser.bridges == ["escalate"]
    superuser.call("Start", "escalate")


@pytest.mark.parametrize(("told", "offered"), [("--list --stdin", []), ("-A, --askpass", ["sudo"])])
def test_sudo_is_offered_only_if_it_knows_of_askpass(site: Site, told: str, offered: list[str]) -> None:
    sudo = site.programs / "sudo"
    sudo.write_text(f"#!/bin/sh\necho 'usage: sudo {told}'\n")
    sudo.chmod(0o755)

    _, _, superuser = site.superuser({"privileged": True, "spawn": [str(sudo), "-A", "true"]})

    assert superuser.bridges == offered


def test_what_is_offered_follows_a_reload(site: Site) -> None:
    bridge, _, superuser = site.superuser(site.privileged(GOOD, "one"))
    assert superuser.bridges == ["one"]
    site.home.package("test", site.privileged(GOOD, "two"), site.named("three", GOOD))

    bridge.reload()

    superuser.wait_known("Bridges", ["two", "three"])
    assert superuser.bridges == ["two", "three"]
    assert superuser.methods == {"two": label_of("two")}


@pytest.mark.root
@pytest.mark.skipif(os.getuid() != 0, reason="needs uid 0")
def test_root_has_nothing_to_gain(site: Site) -> None:
    _, front, superuser = site.superuser(
        site.privileged(GOOD, "one"), site.helper({"payload": "test"}, GOOD), as_user=False
    )

    assert superuser.current == "root"
    assert "runs as root already" in superuser.fail("Start", "one").text
    assert "no privileged bridge runs" in superuser.fail("Stop").text
    front.open("c", superuser="require")
    front.expect("ready", "c")
    assert superuser.user_id() == 0


@pytest.mark.root
@pytest.mark.skipif(os.getuid() != 0, reason="needs uid 0")
def test_root_is_told_that_init_was_acted_on(site: Site) -> None:
    bridge = site.start(site.privileged(GOOD, "one"), as_user=False, superuser={"id": "any"})

    bridge.front_end.expect("superuser-init-done")


@pytest.mark.parametrize("seconds", [100, 1e10])
def test_a_slow_sudo_holds_nobody_up(site: Site, seconds: float) -> None:
    """What it can is asked of it apart from the session, which serves others meanwhile."""
    gate = site.gate()
    sudo = site.programs / "sudo"
    sudo.write_text(f"#!/bin/sh\nhead -c 1 {gate.path} > /dev/null\necho '-A, --askpass'\n")
    sudo.chmod(0o755)
    bridge = site.start({"privileged": True, "spawn": [str(sudo), "-A", "true"]}, limits={"sudo_seconds": seconds})
    front = bridge.front_end
    front.open("bus", "dbus-json3", bus="internal")
    front.expect("ready", "bus")
    get = ["/superuser", "org.freedesktop.DBus.Properties", "Get", ["cockpit.Superuser", "Bridges"]]
    front.send("bus", json.dumps({"call": get, "id": "1"}).encode())
    front.open("echo", "echo")
    front.send("echo", b"meanwhile")
    assert front.data("echo", 9) == b"meanwhile"
    front.sync()
    assert front.data_so_far("bus") == b""
    gate.release()
    answer = json.loads(front.take(lambda frame: frame.channel == "bus", "the answer").payload)
    assert answer["reply"][0][0]["v"] == ["sudo"]


def slow(site: Site, **limits: Any) -> tuple[Bridge, BusClient, Gate]:
    """A bridge that does not know yet what is offered, a channel on its internal bus, and what it waits for."""
    gate = site.gate()
    sudo = site.programs / "sudo"
    sudo.write_text(f"#!/bin/sh\nhead -c 1 {gate.path} > /dev/null\necho '-A, --askpass'\n")
    sudo.chmod(0o755)
    bridge = site.start(
        {"privileged": True, "spawn": [str(sudo), "-A", "true"]}, limits={"sudo_seconds": 100, **limits}
    )
    return bridge, BusClient(bridge.front_end), gate


def test_a_watch_that_is_taken_back_before_it_is_known_what_is_offered(site: Site) -> None:
    bridge, client, gate = slow(site)
    client.say({"watch": {"path": "/superuser"}, "id": "1"})
    client.say({"unwatch": {"path": "/superuser"}})
    client.front.sync()
    gate.release()
    assert client.next() == {"reply": [], "id": "1"}
    site.home.package("test", site.privileged(GOOD, "one"))
    bridge.reload()
    get = ["/superuser", "org.freedesktop.DBus.Properties", "Get", ["cockpit.Superuser", "Bridges"]]
    while client.ask({"call": get})["reply"][0][0]["v"] != ["one"]:
        pass


def test_calls_that_wait_for_what_is_offered_are_counted(site: Site) -> None:
    _, client, gate = slow(site, bus_calls=3)
    get = ["/superuser", "org.freedesktop.DBus.Properties", "Get", ["cockpit.Superuser", "Current"]]
    for number in range(4):
        client.say({"call": get, "id": number})
    refused = client.next()
    assert refused["id"] == 3
    assert refused["error"][0].endswith(".LimitsExceeded")
    gate.release()
    assert [client.next()["reply"][0][0]["v"] for _ in range(3)] == ["none"] * 3
