"""Debian's front ends and another host: added in the dialog, logged in to, administered, removed; over a real sshd."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from ..hosts.conftest import sshd_farm
from ..hosts.farm import ADMINISTRATOR, PASSWORD, Farm
from ..missing import lack
from .cockpit_ws import CockpitWs, write_package, write_session_command
from .conftest import Evidence
from .front_ends import INSTALLED, NEWER, FrontEnd
from .parts import COCKPIT_BRIDGE, SPANBRIDGE, require
from .processes import descendants, program
from .shell import (
    choose,
    click,
    curtains,
    fill,
    menu,
    open_page,
    page,
    terminal_lines,
    texts,
    type_in_terminal,
    wait_for,
)

__all__ = ["sshd_farm"]

pytestmark = [pytest.mark.cockpit, pytest.mark.browser, pytest.mark.root, pytest.mark.timeout(300)]

HOST = "far"
USER = ADMINISTRATOR
SPELT = f"{USER}@{HOST}"
CONF = "[WebService]\nAllowMultiHost=yes\n"
HOSTS = "#host-toggle"
DIALOG = "#hosts_setup_server_dialog"
LINK = f"#nav-hosts a[href='/@{HOST}']"
REMOVE = "#nav-hosts button.nav-action[class*=m-danger]"
HOST_ACTIONS = ".nav-hosts-actions button"
LIMITED = "Limited access"
ADMINISTRATIVE = "Administrative access"
IDLE_SECONDS = 10
"""After which a connection without a channel ends; longer than the shell leaves it without one."""


class Way(NamedTuple):
    """Who shows the host, and who connects to it."""

    front_end: FrontEnd
    connection: str  # the name of the process
    refusal: str  # what it has against a wrong password


WAYS = {
    "installed": Way(INSTALLED, "ssh", "the password was not accepted"),
    "backports": Way(NEWER, "ssh", "the password was not accepted"),
    "installed-cockpit-ssh": Way(INSTALLED, "cockpit-ssh", "Login failed"),
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    chosen = WAYS[request.param]
    chosen.front_end.require()
    return chosen


@pytest.fixture
def place(sshd_farm: Farm) -> Iterator[Path]:
    """A directory of the user of this side, who knows no host."""
    sshd_farm.forget()
    made = sshd_farm.new_front()
    made.mkdir()
    sshd_farm.give(made)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def cockpit_ws(sshd_farm: Farm, place: Path, way: Way, evidence: Evidence) -> Iterator[CockpitWs]:
    """cockpit-ws with spanbridge as a user of the farm, on the near side."""
    require(COCKPIT_BRIDGE)
    if shutil.which("sudo") is None:
        lack("sudo is not installed", "sudo")
    log = place / "session.log"
    log.touch()
    evidence.add_log(log)
    session = write_session_command(
        place / "session",
        [SPANBRIDGE, "--debug", "--set", f"host_idle_seconds={IDLE_SECONDS}"],
        {"HOME": str(sshd_farm.front_home), "XDG_DATA_HOME": str(place / "data")},
        log,
    )
    session.chmod(0o755)
    if way.connection == "ssh":  # in the place of the package of Debian that would come first
        write_package(place / "data", "ssh", {"priority": 101})
    sshd_farm.give(place)
    front_end = way.front_end
    program = [*sshd_farm.entered, *front_end.program[:-1], *sshd_farm.as_front, front_end.program[-1]]
    with CockpitWs(session, place / "ws", conf=CONF, program=program) as ws:
        sshd_farm.give(place / "ws")
        evidence.add_log(ws.log)
        yield ws
    assert PASSWORD not in log.read_text()


# What a user sees and does


def dialog(browser: Chrome) -> str:
    return " ".join(texts(browser, DIALOG))


def connections(ws: CockpitWs, way: Way) -> list[int]:
    """The processes that hold the connections to other hosts."""
    return [pid for pid in descendants(ws.pid) if Path(program(pid)).name == way.connection]


def ask_for_a_host(browser: Chrome) -> None:
    """As far as the dialog for a new one."""

    def asked() -> bool:
        return bool(dialog(browser)) or choose(browser, HOSTS, HOST_ACTIONS, "Add new host")

    wait_for(browser, "the dialog", lambda: asked() and dialog(browser))


def add(browser: Chrome, way: Way) -> None:
    """As far as the question whether the key is trusted."""
    ask_for_a_host(browser)
    fill(browser, "#add-machine-address", HOST)
    fill(browser, "#add-machine-user", USER)
    click(browser, "Add", within=DIALOG)
    if way.front_end is NEWER:
        click(browser, "Connect", within="#hosts_connect_server_dialog")


def log_in(browser: Chrome, password: str) -> str:
    """With a password. Gives what the dialog has against it; nothing if that has gone.

    While it tries, its button cannot be clicked; what it had against the one before still stands there.
    """
    fill(browser, "#login-custom-password", password)
    click(browser, "Log in", within=DIALOG)

    def answered() -> bool:
        script = "return [...document.querySelectorAll(arguments[0])].some(each => each.innerText.trim() === 'Log in')"
        may_try = browser.execute_script(script, f"{DIALOG} button:not([disabled])")
        return not dialog(browser) or may_try

    wait_for(browser, "an answer to the password", answered)
    return " ".join(texts(browser, f"{DIALOG} [class*=c-alert__title]"))


def test_a_host_from_its_first_sight_to_its_removal(
    sshd_farm: Farm, way: Way, cockpit_ws: CockpitWs, browser: Chrome
) -> None:
    open_page(browser, cockpit_ws.url, "/system")
    add(browser, way)
    wait_for(browser, "a question about its key", lambda: "for the first time" in dialog(browser))
    click(browser, "Accept key and connect", "Trust and add host", within=DIALOG)

    assert way.refusal in log_in(browser, "not it")
    assert sshd_farm.host_key in (sshd_farm.front_home / ".ssh/known_hosts").read_text()
    assert log_in(browser, PASSWORD) == ""

    # Its pages come from there, and so does what they show.
    if way.front_end is INSTALLED:  # the newer one has gone there by itself
        wait_for(browser, "the host in the list", lambda: choose(browser, HOSTS, LINK))
    with page(browser, "/system", SPELT):
        wait_for(browser, "its overview", lambda: "System information" in texts(browser, "[class*=card__title]"))
    assert {"Overview", "Logs", "Services", "Terminal"} <= set(menu(browser))
    administrator(browser)
    open_page(browser, cockpit_ws.url, f"/@{HOST}/system/terminal")
    with page(browser, "/system/terminal", SPELT):
        wait_for(browser, "a prompt", lambda: terminal_lines(browser))
        type_in_terminal(browser, "whoami; echo $SSH_CONNECTION" + Keys.ENTER)
        wait_for(browser, "its user", lambda: USER in terminal_lines(browser))
        assert any(line.startswith("127.0.0.1 ") for line in terminal_lines(browser))
    assert curtains(browser) == []
    assert len(connections(cockpit_ws, way)) == 1

    remove(browser)
    if way.connection == "ssh":  # the rule of the other one keeps it for longer
        wait_for(browser, "the end of its connection", lambda: not connections(cockpit_ws, way))


def administrator(browser: Chrome) -> None:
    """Be one over there, with the password of that machine."""

    def access() -> list[str]:
        return [text for text in texts(browser, "#super-user-indicator button, .ct-locked, .ct-unlocked") if text]

    wait_for(browser, LIMITED, lambda: LIMITED in access())
    click(browser, LIMITED)
    fill(browser, "[role=dialog] input[type=password]", PASSWORD)
    click(browser, "Authenticate", within="[role=dialog]")
    wait_for(browser, ADMINISTRATIVE, lambda: ADMINISTRATIVE in access())


def remove(browser: Chrome) -> None:
    wait_for(browser, "the list, to be edited", lambda: choose(browser, HOSTS, HOST_ACTIONS, "Edit hosts"))
    click(browser, selector=REMOVE)
    wait_for(browser, "a list without it", lambda: not browser.find_elements(By.CSS_SELECTOR, LINK))
