"""Logins with a password in Debian's front ends: cockpit-session starts spanbridge once that is asked for."""

import json
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.keys import Keys

from ..superuser.conftest import directory, installation
from ..superuser.installation import Installation
from .cockpit_ws import CockpitWs
from .conftest import Evidence
from .front_ends import INSTALLED, NEWER, FrontEnd
from .login_machine import PASSWORD, USER, Machine, Process
from .parts import COCKPIT_WS
from .probe_page import MANIFEST, NAME, Probe, files
from .shell import choose, click, curtains, fill, menu, page, terminal_lines, texts, type_in_terminal, visible, wait_for
from .test_administrative_access import ADMINISTRATIVE, LIMITED, access
from .test_other_hosts import DIALOG, ask_for_a_host, dialog

__all__ = ["directory", "installation"]

pytestmark = [pytest.mark.cockpit, pytest.mark.browser, pytest.mark.root, pytest.mark.timeout(300)]

BANNER = "Of this machine, and of nobody else."
TITLE = "The machine below the stairs"
NO_WARNING = "WarnBeforeConnecting = false\n"
IDLE = "IdleTimeout = 1\n"
CONF = f"""\
[WebService]
LoginTitle = {TITLE}
AllowMultiHost = yes
[Session]
{NO_WARNING}Banner = /etc/cockpit/banner
"""
NOWHERE = "127.0.0.1:1"
WARNING = "#hosts_connect_server_dialog"

# The pages count seconds of idleness by timers of five and one of them.
_HURRY = """
for (const name of ["setInterval", "setTimeout"]) {
    const slow = window[name];
    window[name] = (call, time, ...rest) =>
        slow.call(window, call, time === 5000 || time === 1000 ? time / 50 : time, ...rest);
}
"""


@pytest.fixture(params=[INSTALLED, NEWER], ids=lambda front_end: front_end.name)
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    front_end: FrontEnd = request.param
    front_end.require()
    with Machine(front_end, CONF) as made:
        made.write("/etc/cockpit/banner", BANNER)
        for name, content in {"manifest.json": json.dumps(MANIFEST).encode(), **files()}.items():
            made.write(f"/home/{USER}/.local/share/cockpit/{NAME}/{name}", content.decode())
        yield made


@pytest.fixture
def cockpit_ws(directory: Path, machine: Machine, evidence: Evidence) -> Iterator[CockpitWs]:
    activated = (sys.executable, "-I", str(Path(__file__).with_name("socket_activated.py")), "3")
    with CockpitWs(None, directory / "ws", conf=CONF, program=(*machine.enter, *activated, COCKPIT_WS)) as ws:
        evidence.add_log(ws.log)
        yield ws


@pytest.fixture
def uid(machine: Machine) -> int:
    return int(machine.run("id", "-u", USER))


@pytest.fixture
def ours(machine: Machine, installation: Installation) -> str:
    """The command, which logins get."""
    machine.run(installation.spanbridge, "login", "on")
    return str(installation.spanbridge)


# What a user does


def fill_in(browser: Chrome, ws: CockpitWs, password: str) -> None:
    """The page that asks who it is."""
    browser.get(f"{ws.url}/system")
    fill(browser, "#login-user-input", USER)
    fill(browser, "#login-password-input", password)
    click(browser, selector="#login-button")


def the_login_page(browser: Chrome) -> None:
    wait_for(browser, "the login page", lambda: visible(browser, "#login-user-input"))


def log_in(browser: Chrome, ws: CockpitWs) -> None:
    fill_in(browser, ws, PASSWORD)
    wait_for(browser, "the shell", lambda: menu(browser))
    wait_for(browser, "the name of the user", lambda: texts(browser, "#current-username") == [USER])


def log_out(browser: Chrome) -> None:
    wait_for(browser, "the way out", lambda: choose(browser, "#toggle-menu", "#logout"))
    the_login_page(browser)


def add_a_host_that_does_not_answer(browser: Chrome, *, warned: bool) -> None:
    """That it does not is told once the bridge has tried; before that comes a warning, where it is wanted."""
    ask_for_a_host(browser)
    fill(browser, "#add-machine-address", NOWHERE)
    click(browser, "Add", within=DIALOG)
    if warned:
        wait_for(browser, "a warning", lambda: "Only connect to trusted machines" in " ".join(texts(browser, WARNING)))
        click(browser, "Connect", within=WARNING)
    wait_for(browser, "a refusal", lambda: f"Unable to contact the given host {NOWHERE}" in dialog(browser))


# What is there of it


def is_ours(bridge: Process) -> bool:
    """By what the Python of the test runs; Debian's is named otherwise."""
    return "/usr/local/bin/cockpit-bridge" in bridge.command


def the_bridge(machine: Machine) -> Process:
    (found,) = machine.bridges()
    return found


def of_root(machine: Machine) -> list[Process]:
    return [process for process in machine.processes() if process.command[-1] == "--privileged" and not process.uid]


def test_a_first_day(machine: Machine, cockpit_ws: CockpitWs, ours: str, browser: Chrome, uid: int) -> None:
    """A login, pages, a terminal, administrative access, a logout; and another bridge, once that is taken back."""
    fill_in(browser, cockpit_ws, "wrong")
    wait_for(browser, "a refusal", lambda: any(texts(browser, "#login-error-message")))
    assert texts(browser, "#banner-message") == [BANNER]
    assert browser.title == TITLE
    log_in(browser, cockpit_ws)
    assert (the_bridge(machine).uid, is_ours(the_bridge(machine))) == (uid, True)
    assert curtains(browser) == []

    browser.get(f"{cockpit_ws.url}/system/terminal")
    with page(browser, "/system/terminal"):
        wait_for(browser, "a prompt", lambda: terminal_lines(browser))
        type_in_terminal(browser, "clear; pwd; id -un; echo $XDG_SESSION_CLASS/$XDG_SESSION_TYPE" + Keys.ENTER)
        expected = {f"/home/{USER}", USER, "user/web"}
        wait_for(browser, f"{expected}", lambda: expected <= {*terminal_lines(browser)})

    click(browser, LIMITED)
    fill(browser, "input[type=password]", PASSWORD)
    click(browser, "Authenticate")
    wait_for(browser, ADMINISTRATIVE, lambda: ADMINISTRATIVE in access(browser))
    privileged = [process for process in of_root(machine) if "sudo" not in process.command[0]]
    assert [is_ours(process) for process in privileged] == [True]
    probe = Probe(browser, cockpit_ws.url)
    assert probe.run("return await cockpit.spawn(['id', '-un'], { superuser: 'require' });") == "root\n"
    assert probe.run("return await cockpit.spawn(['id', '-un']);") == f"{USER}\n"

    browser.get(f"{cockpit_ws.url}/system")
    wait_for(browser, "the shell", lambda: menu(browser))
    if machine.front_end is NEWER:  # the older one warns of nothing
        add_a_host_that_does_not_answer(browser, warned=False)
        browser.get(f"{cockpit_ws.url}/system")
        wait_for(browser, "the shell", lambda: menu(browser))
    log_out(browser)
    machine.wait_for_end([uid])
    assert of_root(machine) == []

    machine.run(ours, "login", "off")
    log_in(browser, cockpit_ws)
    assert (the_bridge(machine).uid, is_ours(the_bridge(machine))) == (uid, False)
    log_out(browser)
    machine.kill(uid)  # Debian 12's own leaves a bus


def test_a_second_day(machine: Machine, cockpit_ws: CockpitWs, ours: str, browser: Chrome, uid: int) -> None:
    """What PAM told of the day before; administrative access that is remembered; an end for idleness."""
    machine.write("/etc/cockpit/cockpit.conf", CONF.replace(NO_WARNING, IDLE))
    log_in(browser, cockpit_ws)
    click(browser, LIMITED)
    fill(browser, "input[type=password]", PASSWORD)
    click(browser, "Authenticate")
    wait_for(browser, ADMINISTRATIVE, lambda: ADMINISTRATIVE in access(browser))
    log_out(browser)
    fill_in(browser, cockpit_ws, "wrong")
    wait_for(browser, "a refusal", lambda: any(texts(browser, "#login-error-message")))

    log_in(browser, cockpit_ws)
    wait_for(browser, ADMINISTRATIVE, lambda: ADMINISTRATIVE in access(browser))
    with page(browser, "/system"):
        for told in ("1 failed login attempt", "Last successful login:"):
            wait_for(browser, told, partial(is_shown, browser, told))

    if machine.front_end is NEWER:
        add_a_host_that_does_not_answer(browser, warned=True)
    browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _HURRY})
    browser.get(f"{cockpit_ws.url}/system")
    the_login_page(browser)
    assert texts(browser, "#login-info-message") == ["You have been logged out due to inactivity."]
    machine.wait_for_end([uid])
    assert of_root(machine) == []


def is_shown(browser: Chrome, text: str) -> bool:
    return any(text in shown for shown in texts(browser, "body"))
