"""A session of a machine that systemd runs, in Chromium: logind, services, logs, and privileges without sudo."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from ..browser import socket_activated
from ..browser.cockpit_ws import CockpitWs
from ..browser.conftest import Evidence
from ..browser.parts import COCKPIT_WS
from ..browser.shell import choose, click, curtains, fill, menu, page, texts, wait_for
from ..browser.test_administrative_access import ADMINISTRATIVE, LIMITED, access
from ..missing import lack
from .machine import PASSWORD, USER, Machine

pytestmark = [pytest.mark.cockpit, pytest.mark.browser, pytest.mark.root, pytest.mark.timeout(240)]

ROOT = "SPANBRIDGE_TESTS_SYSTEMD"
"""The root directory of the machine, which `run` makes."""

SERVICE = "spanbridge-example.service"
UNIT = """\
[Unit]
Description=An example that sleeps
[Service]
ExecStart=/bin/sleep infinity
[Install]
WantedBy=multi-user.target
"""
ACTIVATED = "/usr/local/lib/socket_activated.py"
SAID = "The example has seen a ghost"

# As the shell of today has it.
RULE = {
    "privileged": True,
    "label": "Administrative access",
    "polkit": True,
    "method": "StartTransientUnit",
    "spawn": ["cockpit-bridge", "--privileged"],
}


@pytest.fixture
def machine() -> Iterator[Machine]:
    root = os.environ.get(ROOT)
    if root is None:
        lack("needs a machine of its own (tests/systemd/run)")
    with Machine(Path(root)) as machine:
        machine.write(f"/etc/systemd/system/{SERVICE}", UNIT)
        machine.write("/etc/cockpit/shell.override.json", json.dumps({"bridges": [RULE]}))
        machine.run("systemctl", "daemon-reload")
        machine.run("spanbridge", "login", "on")
        yield machine


@pytest.fixture
def cockpit_ws(tmp_path: Path, machine: Machine, evidence: Evidence) -> Iterator[CockpitWs]:
    evidence.parts["journal"] = lambda: machine.attempt("journalctl", "--no-pager", "--lines=100").stdout
    machine.write(ACTIVATED, Path(socket_activated.__file__).read_text())
    # nsenter has to fork for --pid; what it waits for ends with it.
    activated = ("setpriv", "--pdeathsig=TERM", "/usr/bin/python3", "-I", ACTIVATED, "3")
    with CockpitWs(None, tmp_path / "ws", program=(*machine.enter, *activated, COCKPIT_WS)) as ws:
        evidence.add_log(ws.log)
        yield ws


def log_in(browser: Chrome, ws: CockpitWs) -> None:
    browser.get(f"{ws.url}/system/services")
    fill(browser, "#login-user-input", USER)
    fill(browser, "#login-password-input", PASSWORD)
    click(browser, selector="#login-button")
    wait_for(browser, "the shell", lambda: menu(browser))


def shown(browser: Chrome, text: str) -> bool:
    return any(text in each for each in texts(browser, "body"))


def sessions(machine: Machine) -> list[str]:
    listed = machine.run("loginctl", "list-sessions", "--no-legend")
    return [line.split()[0] for line in listed.splitlines() if USER in line]


def units(machine: Machine) -> list[str]:
    listed = machine.run("systemctl", "list-units", "--plain", "--no-legend", "spanbridge-superuser-*")
    return [line.split()[0] for line in listed.splitlines()]


def test_a_day(machine: Machine, cockpit_ws: CockpitWs, browser: Chrome) -> None:
    log_in(browser, cockpit_ws)
    (session,) = sessions(machine)
    told = machine.run("loginctl", "show-session", session)
    assert "Service=cockpit\n" in told
    assert "State=active\n" in told
    scope = machine.run("systemctl", "status", "--no-pager", f"session-{session}.scope")
    assert "/usr/local/bin/cockpit-bridge" in scope

    with page(browser, "/system/services"):
        wait_for(browser, "the services", lambda: shown(browser, "systemd-logind"))

    click(browser, LIMITED)
    fill(browser, "input[type=password]", PASSWORD)
    click(browser, "Authenticate")
    wait_for(browser, ADMINISTRATIVE, lambda: ADMINISTRATIVE in access(browser))
    (unit,) = units(machine)
    assert "User=root\n" in machine.run("systemctl", "show", unit)

    browser.get(f"{cockpit_ws.url}/system/services#/{SERVICE}")
    with page(browser, "/system/services"):
        wait_for(browser, "the service", lambda: shown(browser, "An example that sleeps"))
        script = "const found = document.querySelector(arguments[0]); found?.click(); return found !== null"
        switch = ".service-top-panel input[type=checkbox]:not([disabled])"
        wait_for(browser, "its switch", lambda: browser.execute_script(script, switch))
        wait_for(browser, "it runs", lambda: shown(browser, "Active since"))
    assert machine.run("systemctl", "is-active", SERVICE) == "active\n"

    machine.run("systemd-cat", "--identifier=example", "--priority=err", "echo", SAID)
    browser.get(f"{cockpit_ws.url}/system/logs")
    with page(browser, "/system/logs"):
        wait_for(browser, "what was said", lambda: shown(browser, SAID))
    assert curtains(browser) == []
    machine.run("systemctl", "daemon-reexec")
    machine.run("systemctl", "is-system-running", "--wait")
    assert units(machine) == [unit]
    assert access(browser) == [ADMINISTRATIVE]

    click(browser, ADMINISTRATIVE)
    click(browser, "Limit access")
    wait_for(browser, LIMITED, lambda: LIMITED in access(browser))
    wait_for(browser, "the end of the unit", lambda: not units(machine))

    wait_for(browser, "the way out", lambda: choose(browser, "#toggle-menu", "#logout"))
    wait_for(browser, "the end of the session", lambda: not sessions(machine))
