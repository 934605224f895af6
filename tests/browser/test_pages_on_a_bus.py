"""Debian's pages on spanbridge alone, with a system bus: the overview, the host name, logs, services, metrics."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from .cockpit_ws import CockpitWs, write_session_command
from .conftest import Evidence
from .front_ends import INSTALLED, NEWER, FrontEnd
from .parts import SPANBRIDGE
from .processes import children, program
from .shell import click, curtains, fill, open_page, page, texts, wait_for
from .system_bus import SystemBus, require_system_bus

pytestmark = [pytest.mark.cockpit, pytest.mark.browser, pytest.mark.root, pytest.mark.timeout(240)]


@pytest.fixture(params=[INSTALLED, NEWER], ids=lambda front_end: front_end.name)
def front_end(request: pytest.FixtureRequest) -> FrontEnd:
    chosen: FrontEnd = request.param
    chosen.require()
    return chosen


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[SystemBus]:
    require_system_bus()
    with SystemBus(tmp_path / "bus", "before.example") as running:
        yield running


@pytest.fixture
def cockpit_ws(
    tmp_path: Path, front_end: FrontEnd, bus: SystemBus, session_log: Path, evidence: Evidence
) -> Iterator[CockpitWs]:
    environ = {"XDG_DATA_HOME": str(tmp_path / "data"), "DBUS_SYSTEM_BUS_ADDRESS": bus.address}
    command = write_session_command(tmp_path / "session", [SPANBRIDGE, "--debug=open"], environ, session_log)
    with CockpitWs(command, tmp_path / "ws", program=front_end.program) as ws:
        evidence.add_log(ws.log)
        yield ws


HOSTNAME = "#system_information_hostname_text"
USAGE = ".system-usage td, .system-usage-card td, .pf-v5-c-progress__status"


def shows(browser: Chrome, selector: str, text: str) -> bool:
    return any(text in each for each in texts(browser, selector))


def test_the_pages_load_and_nothing_is_missing(cockpit_ws: CockpitWs, browser: Chrome, session_log: Path) -> None:
    """No open is refused for want of a payload, and nobody but spanbridge serves any."""
    open_page(browser, cockpit_ws.url, "/system")
    with page(browser, "/system"):
        wait_for(browser, "the host name", lambda: shows(browser, HOSTNAME, "before.example"))
        wait_for(browser, "the usage of memory", lambda: shows(browser, USAGE, "GiB"))
    for path in ("/system/services", "/system/logs", "/metrics", "/users"):
        browser.get(cockpit_ws.url + path)
        with page(browser, path):
            wait_for(browser, f"something of {path}", lambda: texts(browser, "main, .pf-v5-c-page, #app, body > div"))
    assert curtains(browser) == []
    refused = [line for line in session_log.read_text().splitlines() if "not-supported" in line]
    # What the bridge in C refuses too: metrics of PCP, where no helper has it.
    assert [line for line in refused if "metrics1" not in line] == []
    assert [pid for pid in children(cockpit_ws.session_pid()) if "bridge" in program(pid)] == []


def test_the_host_name_is_changed_in_its_dialog(cockpit_ws: CockpitWs, browser: Chrome, bus: SystemBus) -> None:
    open_page(browser, cockpit_ws.url, "/system")
    with page(browser, "/system"):
        click(browser, selector="#system_information_hostname_button")
        fill(browser, "#sich-hostname", "after.example")
        click(browser, within="[role=dialog]", selector="button.pf-m-primary")
        wait_for(browser, "the new name", lambda: shows(browser, HOSTNAME, "after.example"))
    assert (bus.etc / "hostname").read_text() == "after.example\n"
