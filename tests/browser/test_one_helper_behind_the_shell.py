"""Debian's front end on spanbridge, with one package that hands every channel to Debian's cockpit-bridge."""

import os
import re
import signal
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from .cockpit_ws import CockpitWs
from .conftest import PackageDir
from .parts import COCKPIT_BRIDGE, COCKPIT_SHELL, SPANBRIDGE, require
from .processes import arguments, children, descendants, executable
from .shell import curtains, menu, open_page, page, terminal_lines, texts, type_in_terminal, wait_for

MANIFEST = {
    "bridges": [
        {
            "match": {"payload": None},
            "spawn": [COCKPIT_BRIDGE],
            # Else the helper finds this very rule in the same directory, and starts itself for ever.
            "environ": ["XDG_DATA_HOME=/nonexistent"],
        }
    ]
}

pytestmark = [pytest.mark.cockpit, pytest.mark.browser, pytest.mark.timeout(180)]


@pytest.fixture(autouse=True)
def _package(package_dir: PackageDir) -> None:
    """Autouse comes first: the package is there before cockpit-ws starts a session that reads it."""
    require(COCKPIT_BRIDGE, COCKPIT_SHELL)
    package_dir("everything", MANIFEST)


def the_one_helper(ws: CockpitWs) -> int:
    """The pid of the only cockpit-bridge there is, which is the only child of the session: spanbridge."""
    session = ws.session_pid()
    assert SPANBRIDGE in arguments(session)
    helpers = children(session)
    assert [executable(pid) for pid in helpers] == [COCKPIT_BRIDGE]
    assert [pid for pid in descendants(ws.pid) if executable(pid) == COCKPIT_BRIDGE] == helpers
    return helpers[0]


def test_the_shell_and_the_overview_show(cockpit_ws: CockpitWs, browser: Chrome) -> None:
    open_page(browser, cockpit_ws.url, "/system")
    assert {"Overview", "Logs", "Services", "Terminal"} <= set(menu(browser))

    with page(browser, "/system"):
        # One comes through a metrics channel, which goes on; the other through a channel that reads a file.
        load = re.compile(r"\d+% of \d+ CPU")
        wait_for(browser, "the load", lambda: any(map(load.match, texts(browser, ".system-usage td"))))
        machine_id = Path("/etc/machine-id").read_text().strip()
        wait_for(browser, "the machine's id", lambda: texts(browser, "#system_machine_id") == [machine_id])

    assert curtains(browser) == []
    the_one_helper(cockpit_ws)


def test_a_terminal_echoes_what_is_typed(cockpit_ws: CockpitWs, browser: Chrome) -> None:
    command = "echo span$((40+2))bridge below $PPID"
    open_page(browser, cockpit_ws.url, "/system/terminal")

    with page(browser, "/system/terminal"):
        wait_for(browser, "a prompt", lambda: terminal_lines(browser))
        type_in_terminal(browser, f"{command}\n")
        # The shell's parent is the process that serves the terminal.
        answer = f"span42bridge below {the_one_helper(cockpit_ws)}"
        wait_for(browser, f"the line {answer!r}", lambda: answer in terminal_lines(browser))
        assert [line.endswith(command) for line in terminal_lines(browser)].count(True) == 1

    assert curtains(browser) == []
    the_one_helper(cockpit_ws)


def test_the_end_of_the_session_draws_the_curtain(cockpit_ws: CockpitWs, browser: Chrome) -> None:
    open_page(browser, cockpit_ws.url, "/system")
    session = cockpit_ws.session_pid()

    os.kill(session, signal.SIGTERM)

    wait_for(browser, "a curtain", lambda: any("Disconnected" in curtain for curtain in curtains(browser)))
    wait_for(browser, "the session's end", lambda: session not in children(cockpit_ws.pid))
