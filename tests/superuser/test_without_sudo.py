"""Machines without sudo: a helper that systemd starts, and polkit's questions (docs/superuser.md, "Without sudo")."""

import copy
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dbus_fast import Message, MessageFlag

from spanbridge.helpers.polkit import start_time, subject
from spanbridge.helpers.systemd import missing
from spanbridge.payloads.bus.signature import Variant
from spanbridge.testing.bridge import Bridge
from spanbridge.testing.script import Rule, exit_with, forever, init, serve, stderr

from ..dbus.service import PrivateBus
from ..missing import lack
from .client import CANCELLED, ERROR, Prompt, SuperuserClient
from .site import Site
from .system import NOT_ALLOWED, SYSTEMD, Authority, Manage, PamHelper, in_a_room_with, unit

GOOD = [init(), serve()]
NAME = re.compile(r"spanbridge-superuser-[0-9]+-[0-9a-f]{16}\.service")
"""Bridges in several namespaces of processes, with one number, have different ones."""


def test_systemd_starts_it(site: Site, bus: PrivateBus, manage: Manage) -> None:
    manager = manage()
    rule = unit(site, GOOD, environ=["COLOUR=red", "EMPTY="], directory="/")
    bridge, front, superuser = site.superuser(rule, environ=bus.environ)
    assert superuser.bridges == ["unit"]
    superuser.call("Start", "unit")
    assert superuser.current == "unit"
    ((name, properties, flags),) = manager.units
    assert NAME.fullmatch(name)
    assert f"-{bridge.pid}-" in name
    assert flags & MessageFlag.ALLOW_INTERACTIVE_AUTHORIZATION
    ((path, argv, ignore),) = properties["ExecStart"]
    assert os.path.isabs(path)
    assert argv == rule["spawn"]
    assert not ignore
    assert {key: properties[key] for key in ("Type", "User", "CollectMode", "Environment", "WorkingDirectory")} == {
        "Type": "exec",
        "User": "root",
        "CollectMode": "inactive-or-failed",
        "Environment": ["COLOUR=red", "EMPTY="],
        "WorkingDirectory": "/",
    }
    front.open("served", "anything", superuser="require")
    front.expect("ready", "served")
    superuser.call("Stop")
    assert superuser.current == "none"
    front.expect("close", "served", problem="terminated")
    assert manager.stopped == []  # it ended with its stdin
    superuser.call("Start", "unit")
    another = manager.units[1][0]
    assert NAME.fullmatch(another)
    assert another != name


def test_it_is_found_as_the_rule_says(site: Site, bus: PrivateBus, manage: Manage) -> None:
    """By the PATH of the rule, and from its directory: systemd wants absolute paths."""
    manager = manage()
    program = site.program("escalate", GOOD)
    beside = os.path.relpath(program.parent, site.home.root)
    by_path: Rule = {"environ": ["PATH=.:/usr/bin:/bin"], "spawn": ["escalate"]}
    rule: Rule = {"privileged": True, "method": "StartTransientUnit", "label": "unit", "directory": beside, **by_path}
    _, _, superuser = site.superuser(rule, environ=bus.environ)
    assert superuser.bridges == ["unit"]
    superuser.call("Start", "unit")
    ((_, properties, _),) = manager.units
    assert properties["ExecStart"][0][0] == str(program)
    assert properties["WorkingDirectory"] == str(program.parent)


def test_what_systemd_has_against_it_is_the_error(site: Site, bus: PrivateBus, manage: Manage) -> None:
    manage(lambda message: Message.new_error(message, NOT_ALLOWED, "Interactive authentication required."))
    _, _, superuser = site.superuser(unit(site, GOOD), environ=bus.environ)
    error = superuser.fail("Start", "unit")
    assert (error.name, error.text) == (ERROR, "Interactive authentication required.")
    assert superuser.current == "none"


def test_what_it_says_itself_is_the_error(site: Site, bus: PrivateBus, manage: Manage) -> None:
    manage()
    _, _, superuser = site.superuser(unit(site, [stderr("no, not today"), exit_with(3)]), environ=bus.environ)
    assert superuser.fail("Start", "unit").text == "no, not today"


def test_one_that_stays_is_stopped_by_systemd(site: Site, bus: PrivateBus, manage: Manage) -> None:
    manager = manage()
    limits = {"exit_seconds": 0.2, "term_seconds": 5}
    bridge, _, superuser = site.superuser(unit(site, [init(), forever()]), environ=bus.environ, limits=limits)
    superuser.call("Start", "unit")
    superuser.call("Stop")
    bridge.log.wait("helper-ended")
    assert manager.stopped == [manager.units[0][0]]


def test_it_ends_by_itself(site: Site, bus: PrivateBus, manage: Manage) -> None:
    manage()
    _, _, superuser = site.superuser(unit(site, [init(), exit_with(0)]), environ=bus.environ)
    superuser.begin("Start", "unit")
    superuser.wait_current("unit")
    superuser.wait_current("none")


def test_units_that_systemd_reads_anew(site: Site, bus: PrivateBus, manage: Manage) -> None:
    """It tells of each that it is removed; ours goes on (`systemctl daemon-reload`)."""
    manager = manage()
    _, front, superuser = site.superuser(unit(site, GOOD), environ=bus.environ)
    superuser.call("Start", "unit")
    manager.tell_removed(manager.units[0][0])
    assert manager.looked_for.wait(30)
    front.open("served", "anything", superuser="require")
    front.expect("ready", "served")
    again = manage()  # and itself (`systemctl daemon-reexec`)
    again.processes.update(manager.processes)
    assert again.looked_for.wait(30)
    front.open("also", "anything", superuser="require")
    front.expect("ready", "also")
    assert superuser.current == "unit"
    again.stop()
    superuser.wait_current("none")


def test_a_stop_while_systemd_has_not_answered(site: Site, bus: PrivateBus, manage: Manage) -> None:
    manager = manage()
    manager._start = lambda message: manager.units.append((message.body[0], {}, message.flags))  # type: ignore[method-assign]
    _, _, superuser = site.superuser(unit(site, GOOD), environ=bus.environ)
    started = superuser.begin("Start", "unit")
    superuser.wait_current("init")
    superuser.call("Stop")
    assert superuser.failure(started).name == CANCELLED
    assert superuser.current == "none"


def test_systemd_does_not_answer(site: Site, bus: PrivateBus, manage: Manage) -> None:
    """It has a time of its own: what a helper may take until its `init` is not counted before it runs."""
    manager = manage()
    manager._start = lambda message: manager.units.append((message.body[0], {}, message.flags))  # type: ignore[method-assign]
    limits = {"systemd_seconds": 0.5, "handshake_seconds": 0.01}
    bridge, _, superuser = site.superuser(unit(site, GOOD), environ=bus.environ, limits=limits)
    told = superuser.fail("Start", "unit").text
    ((name, _, _),) = manager.units
    assert told == f"systemd did not start {name} within 0.5 s (systemd_seconds)"
    assert bridge.log.wait("limit name=systemd_seconds value=0.5")
    assert superuser.current == "none"


def test_one_that_systemd_has_started_is_to_send_its_init(site: Site, bus: PrivateBus, manage: Manage) -> None:
    manage()
    limits = {"systemd_seconds": 1_000, "handshake_seconds": 0.01}
    bridge, _, superuser = site.superuser(unit(site, [forever()]), environ=bus.environ, limits=limits)
    assert "sent no init within 0.01 s" in superuser.fail("Start", "unit").text
    assert bridge.log.wait("limit name=handshake_seconds")


def test_the_end_of_the_session_ends_it(site: Site, bus: PrivateBus, manage: Manage) -> None:
    manage()
    bridge, _, superuser = site.superuser(unit(site, GOOD), environ=bus.environ)
    superuser.call("Start", "unit")
    assert bridge.end() == 0


# Whether it is offered


def test_offered_where_there_is_systemd(site: Site, bus: PrivateBus, manage: Manage) -> None:
    rules = [unit(site, GOOD, "one"), site.privileged(GOOD, "two")]
    _, _, superuser = site.superuser(*rules, environ=bus.environ)
    assert superuser.bridges == ["two"]
    nobody = missing(bus.environ, 1)
    assert nobody is not None
    assert SYSTEMD in nobody
    manage()
    assert missing(bus.environ, 1) is None


def test_offered_where_systemd_can_be_started(bus: PrivateBus) -> None:
    (bus.services / "systemd.service").write_text(f"[D-BUS Service]\nName={SYSTEMD}\nExec=/bin/false\n")
    bus.stop()
    bus.start()
    assert missing(bus.environ, 1) is None


@pytest.mark.parametrize("address", ["unix:path=/no/bus", "tcp:host=localhost", "nonsense", ""])
def test_not_offered_without_a_bus(address: str) -> None:
    told = missing({"DBUS_SYSTEM_BUS_ADDRESS": address or "unix:path=/no"}, 1)
    assert told is not None
    assert told.startswith("the system bus: ")


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"method": "pkexec"}, "method: found string"),
        ({"method": 5}, "method: found number 5"),
        ({"polkit": "yes"}, "polkit: found string"),
        ({"polkit": None}, "polkit: found null"),
    ],
    ids=str,
)
def test_a_rule_with_another_method_is_left_out_loudly(site: Site, members: dict[str, Any], told: str) -> None:
    bridge, _, superuser = site.superuser(site.privileged(GOOD, "one", **members), site.privileged(GOOD, "two"))
    assert superuser.bridges == ["two"]
    assert told in bridge.log.text


def test_others_are_not_started_by_systemd(site: Site) -> None:
    rule = {"match": {"payload": "x"}, "spawn": ["true"], "method": "StartTransientUnit"}
    bridge, _, _ = site.superuser(rule)
    assert "not privileged" in bridge.log.text


# polkit


def test_whom_polkit_asks_by_us() -> None:
    assert subject({"XDG_SESSION_ID": "c2"}) == ("unix-session", {"session-id": Variant("s", "c2")})
    kind, details = subject({})
    assert kind == "unix-process"
    assert details["pid"] == Variant("u", os.getpid())
    assert details["uid"] == Variant("i", os.getuid())
    stat = "7 (a) b) c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21"
    assert start_time(stat) == 4242


class Room:
    """A bridge of the ordinary user for which polkit's helper is what the test says."""

    def __init__(self, site: Site, bus: PrivateBus, authority: Authority, manage: Manage, directory: Path) -> None:
        if os.geteuid() != 0:
            lack("needs root, for a mount namespace with polkit's socket in it")
        self._site = site
        self._bus = bus
        self._authority = authority
        self._run = directory / "polkit"
        self._run.mkdir()
        self.helper: PamHelper | None = None
        self.answers: list[Message] = []
        self.manager = manage(self._may)

    def _may(self, message: Message) -> Message | None:
        answer = self._authority.ask("cookie-1", 4242, self._site.user.uid)
        self.answers.append(answer)
        if answer.error_name is None:
            return None
        return Message.new_error(message, NOT_ALLOWED, f"Not authorized: {answer.body[0]}")

    def says(self, *lines: str) -> PamHelper:
        self.helper = PamHelper(self._run / "agent-helper.socket", *lines)
        return self.helper

    def enter(self, steps: Any = GOOD, **arguments: Any) -> tuple[Bridge, SuperuserClient]:
        site = self._site
        script = site.programs / "room"
        command = in_a_room_with(self._run, [*site.user.prefix, str(site.installation.spanbridge)])
        script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        script.chmod(0o755)
        installation = copy.copy(site.installation)
        installation.spanbridge = script
        site.installation = installation
        rule = unit(site, steps, polkit=True)
        environ = {**self._bus.environ, "XDG_SESSION_ID": "7"}
        bridge = site.start(rule, environ=environ, as_user=False, **arguments)
        return bridge, SuperuserClient(bridge.front_end)

    def close(self) -> None:
        if self.helper is not None:
            self.helper.close()


@pytest.fixture
def room(site: Site, bus: PrivateBus, authority: Authority, manage: Manage, directory: Path) -> Iterator[Room]:
    room = Room(site, bus, authority, manage, directory)
    yield room
    room.close()


@pytest.mark.root
def test_polkit_asks_the_user(room: Room, authority: Authority) -> None:
    helper = room.says(
        r"PAM_TEXT_INFO Welcome\nback",
        "PAM_PROMPT_ECHO_OFF Password: ",
        "PAM_ERROR_MSG Not yet",
        r"PAM_PROMPT_ECHO_ON Co\144e: ",
        "SUCCESS",
    )
    bridge, superuser = room.enter()
    started = superuser.begin("Start", "unit")
    assert superuser.prompt() == Prompt("Welcome\nback", "", "", False, "")
    assert superuser.current == "init"
    superuser.call("Answer", "sw\u00f6rdfish")
    assert superuser.prompt() == Prompt("", "Code: ", "", True, "Not yet")
    superuser.call("Answer", "42")
    superuser.outcome(started)
    assert superuser.current == "unit"
    assert helper.heard == ["nobody", "cookie-1", "sw\u00f6rdfish", "42"]
    ((sender, kind, details, _),) = authority.agents
    assert (kind, details) == ("unix-session", {"session-id": "7"})
    # It is an agent while the helper comes up, and no longer.
    while authority.service.ask_bus("NameHasOwner", "s", sender) == [True]:
        authority.service.round_trip()
    assert "sw\u00f6rdfish" not in bridge.log.text


@pytest.mark.root
def test_the_authentication_fails(room: Room) -> None:
    room.says("PAM_PROMPT_ECHO_OFF Password: ", "FAILURE")
    _, superuser = room.enter()
    started = superuser.begin("Start", "unit")
    superuser.prompt()
    superuser.call("Answer", "wrong")
    assert superuser.failure(started).text == "Not authorized: the authentication has failed"


@pytest.mark.root
def test_polkit_takes_its_question_back(room: Room, authority: Authority) -> None:
    room.says("PAM_PROMPT_ECHO_OFF Password: ", "SUCCESS")
    _, superuser = room.enter()
    started = superuser.begin("Start", "unit")
    superuser.prompt()
    assert authority.tell("CancelAuthentication", "s", "another").error_name is None
    assert authority.tell("CancelAuthentication", "s", "cookie-1").error_name is None
    assert superuser.failure(started).text == "Not authorized: cancelled"
    assert superuser.fail("Answer", "late").name == ERROR


@pytest.mark.root
def test_a_stop_while_the_user_is_asked(room: Room) -> None:
    room.says("PAM_PROMPT_ECHO_OFF Password: ", "SUCCESS")
    _, superuser = room.enter()
    started = superuser.begin("Start", "unit")
    superuser.prompt()
    superuser.call("Stop")
    assert superuser.failure(started).name == CANCELLED
    while not room.answers:
        superuser.front.round_trip(superuser.channel)
    assert room.answers[0].error_name is not None


@pytest.mark.root
def test_from_init_the_front_end_is_asked_once(room: Room) -> None:
    helper = room.says("PAM_PROMPT_ECHO_OFF Password: ", "PAM_PROMPT_ECHO_OFF Again: ", "FAILURE")
    bridge, _ = room.enter(superuser={"id": "unit"})
    front = bridge.front_end
    asked = front.expect("authorize")
    assert asked["challenge"] == "plain1:" + b"nobody".hex()
    front.control("authorize", cookie=asked["cookie"], response="secret")
    front.expect("superuser-init-done")
    assert helper.heard == ["nobody", "cookie-1", "secret", ""]


@pytest.mark.root
def test_half_a_character_is_an_answer(room: Room) -> None:
    """As for sudo: it goes on as it came, and is wrong."""
    helper = room.says("PAM_PROMPT_ECHO_OFF Password: ", "FAILURE")
    bridge, _ = room.enter(superuser={"id": "unit"})
    front = bridge.front_end
    asked = front.expect("authorize")
    front.control("authorize", cookie=asked["cookie"], response="half \ud83d")
    front.expect("superuser-init-done")
    assert bridge.log.wait("superuser-failed")
    assert "the authentication has failed" in bridge.log.text
    assert helper.heard[-1] == "half \ud83d"
    assert bridge.end() == 0


def test_a_locale_that_is_no_text(site: Site, bus: PrivateBus, manage: Manage, authority: Authority) -> None:
    manage()
    environ = {**bus.environ, "LANG": "de\udcff", "XDG_SESSION_ID": "\udcff"}
    bridge = site.start(unit(site, GOOD, polkit=True), environ=environ, superuser={"id": "unit"})
    bridge.front_end.expect("superuser-init-done")
    assert len(authority.agents) == 1
    assert bridge.end() == 0


@pytest.mark.parametrize("spare", range(11))
def test_no_descriptor_is_left(site: Site, bus: PrivateBus, manage: Manage, authority: Authority, spare: int) -> None:
    """It costs the start, whichever is the first that cannot be had."""
    manage()
    bridge, _, superuser = site.superuser(unit(site, GOOD, polkit=True), environ=bus.environ)
    numbers = subprocess.run([*site.user.prefix, "ls", f"/proc/{bridge.pid}/fd"], check=True, capture_output=True)
    most = max(map(int, numbers.stdout.split())) + 1 + spare
    limit = [*site.user.prefix, "prlimit", "--pid", str(bridge.pid)]
    subprocess.run([*limit, f"--nofile={most}:"], check=True)
    assert "Too many open files" in superuser.fail("Start", "unit").text
    subprocess.run([*limit, "--nofile=1000:"], check=True)
    superuser.call("Start", "unit")


@pytest.mark.root
def test_others_are_not_asked_for_anybody_else(room: Room, authority: Authority, site: Site) -> None:
    room.says("PAM_PROMPT_ECHO_OFF Password: ", "SUCCESS")
    _, superuser = room.enter()
    started = superuser.begin("Start", "unit")
    superuser.prompt()
    assert authority.ask("cookie-2", 4242).error_name is not None  # another user
    assert authority.ask("cookie-3", site.user.uid).error_name is not None  # one at a time
    sender, _, _, path = authority.agents[-1]
    stranger = room.manager.service
    begin = Message(
        sender,
        path,
        "org.freedesktop.PolicyKit1.AuthenticationAgent",
        "CancelAuthentication",
        signature="s",
        body=["cookie-1"],
    )
    assert stranger.call(begin).error_name == "org.freedesktop.DBus.Error.AccessDenied"
    superuser.call("Answer", "right")
    superuser.outcome(started)
