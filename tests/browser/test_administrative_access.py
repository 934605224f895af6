"""Administrative access in Debian's front end: cockpit-ws and spanbridge as an ordinary user, sudo with its password.

The pages come from spanbridge itself; nothing else serves this session but the privileged helper.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from ..superuser.conftest import directory, installation
from ..superuser.installation import Installation
from ..superuser.real_user import PASSWORD, RealUser, real_user, require_sudo, where_it_shows
from .cockpit_ws import CockpitWs, write_package, write_session_command
from .conftest import Evidence
from .parts import COCKPIT_BRIDGE, COCKPIT_SHELL, COCKPIT_WS, require
from .probe_page import MANIFEST, NAME, Probe, files
from .processes import command_of, descendants
from .shell import click, fill, open_page, texts, wait_for

__all__ = ["directory", "installation"]

pytestmark = [pytest.mark.cockpit, pytest.mark.browser, pytest.mark.root, pytest.mark.timeout(180)]

LIMITED = "Limited access"
ADMINISTRATIVE = "Administrative access"


@pytest.fixture(scope="module")
def somebody() -> Iterator[RealUser]:
    """The user whose session it is."""
    require_sudo()
    with real_user() as user:
        yield user


@pytest.fixture
def cockpit_ws(
    directory: Path, installation: Installation, somebody: RealUser, evidence: Evidence
) -> Iterator[CockpitWs]:
    """cockpit-ws as that user, with spanbridge as the session."""
    require(COCKPIT_WS, COCKPIT_BRIDGE, COCKPIT_SHELL)
    somebody.forget()
    somebody.may("{name} ALL=(ALL) ALL")
    log = directory / "session.log"
    log.touch()
    os.chown(log, somebody.user.uid, somebody.user.gid)
    evidence.add_log(log)
    session = write_session_command(
        directory / "session",
        [str(installation.spanbridge), "--debug"],
        {"XDG_DATA_HOME": str(directory / "data")},
        log,
    )
    session.chmod(0o755)
    with CockpitWs(session, directory / "ws", program=(*somebody.user.prefix, COCKPIT_WS)) as ws:
        evidence.add_log(ws.log)
        yield ws
    assert PASSWORD not in log.read_text()


def access(browser: Chrome) -> list[str]:
    """What the button at the top says."""
    return [text for text in texts(browser, "#super-user-indicator button, .ct-locked, .ct-unlocked") if text]


def type_password(browser: Chrome) -> None:
    fill(browser, "input[type=password]", PASSWORD)


def privileged_bridges(ws: CockpitWs) -> list[list[str]]:
    """The commands of the privileged bridges of the session."""
    commands = [command for pid in descendants(ws.pid) if (command := command_of(pid))]
    return [command for command in commands if command[-1:] == ["--privileged"] and "sudo" not in command[0]]


def test_there_and_back(cockpit_ws: CockpitWs, browser: Chrome) -> None:
    """By the manifest of Debian's own shell: Debian's bridge is the helper."""
    open_page(browser, cockpit_ws.url, "/system")
    click(browser, LIMITED)
    type_password(browser)
    click(browser, "Authenticate")
    wait_for(browser, ADMINISTRATIVE, lambda: ADMINISTRATIVE in access(browser))
    assert [command[0] for command in privileged_bridges(cockpit_ws)] == ["cockpit-bridge"]
    assert where_it_shows(PASSWORD, [cockpit_ws.pid, *descendants(cockpit_ws.pid)]) == []

    click(browser, ADMINISTRATIVE)
    click(browser, "Limit access")

    wait_for(browser, LIMITED, lambda: LIMITED in access(browser))
    wait_for(browser, "the end of the helper", lambda: not privileged_bridges(cockpit_ws))


@pytest.fixture
def two_methods(directory: Path, installation: Installation) -> None:
    """Two labelled rules, which can be told apart by the arguments of their bridges."""
    rules = [
        {
            "privileged": True,
            "label": label,
            "environ": ["SUDO_ASKPASS=${libexecdir}/cockpit-askpass"],
            "spawn": ["sudo", "-k", "-A", str(installation.spanbridge), "--set", f"max_depth={depth}", "--privileged"],
        }
        for label, depth in (("With the usual key", 6), ("Mit dem großen Schlüssel", 7))
    ]
    write_package(directory / "data", "keys", {"bridges": rules})


def test_a_choice_of_method(two_methods: None, cockpit_ws: CockpitWs, browser: Chrome) -> None:
    open_page(browser, cockpit_ws.url, "/system")
    click(browser, LIMITED)
    methods = wait_for(browser, "the choice", lambda: browser.find_elements(By.CSS_SELECTOR, "[role=dialog] select"))[0]
    options = methods.find_elements(By.TAG_NAME, "option")
    assert [option.text for option in options] == ["With the usual key", "Mit dem großen Schlüssel"]

    options[1].click()
    click(browser, "Authenticate")
    type_password(browser)
    click(browser, "Authenticate")

    wait_for(browser, ADMINISTRATIVE, lambda: ADMINISTRATIVE in access(browser))
    (command,) = privileged_bridges(cockpit_ws)
    assert command[-3:] == ["--set", "max_depth=7", "--privileged"]


@pytest.fixture
def own_bridge(directory: Path, installation: Installation) -> None:
    """spanbridge as root by a rule of its own, and the probe page."""
    rule = {
        "privileged": True,
        "label": "Spanbridge",
        "environ": ["SUDO_ASKPASS=${libexecdir}/cockpit-askpass"],
        "spawn": ["sudo", "-k", "-A", str(installation.spanbridge), "--privileged"],
    }
    write_package(directory / "data", "keys", {"bridges": [rule]})
    write_package(directory / "data", NAME, MANIFEST, files())


def test_programs_and_files_of_the_administrator(
    directory: Path, own_bridge: None, cockpit_ws: CockpitWs, browser: Chrome
) -> None:
    """`superuser: "require"` reaches spanbridge as root, through sudo; nobody else serves it."""
    probe = Probe(browser, cockpit_ws.url)
    assert probe.fails("return await cockpit.spawn(['id', '-u'], { superuser: 'require' });")["problem"] == (
        "access-denied"
    )
    start = """
        const bus = cockpit.dbus(null, { bus: "internal" });
        bus.subscribe({ path: "/superuser", member: "Prompt" },
                      () => bus.call("/superuser", "cockpit.Superuser", "Answer", [args.password]));
        await bus.call("/superuser", "cockpit.Superuser", "Start", ["Spanbridge"]);
        return await cockpit.spawn(["id", "-u"], { superuser: "require" });
    """
    assert probe.run(start, password=PASSWORD) == "0\n"
    place = directory / "roots-own"
    write = "await cockpit.file(args.path, { superuser: 'require' }).replace('secret'); return null;"
    probe.run(write, path=str(place))
    assert place.stat().st_uid == 0
    assert [command[0] for command in privileged_bridges(cockpit_ws)] != []
    assert not any("cockpit-bridge" in command[0] for command in privileged_bridges(cockpit_ws))
