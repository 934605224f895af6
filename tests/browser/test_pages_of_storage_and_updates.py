"""Debian's pages of storage and of software updates on spanbridge alone, with stand-ins for what they speak with."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from selenium.webdriver import Chrome

from ..dbus.service import PrivateBus, Service, private_bus
from ..missing import lack
from .cockpit_ws import CockpitWs, write_session_command
from .conftest import Evidence
from .front_ends import INSTALLED, NEWER, FrontEnd
from .parts import SPANBRIDGE
from .shell import curtains, open_page, page, texts, wait_for
from .stand_ins import PACKAGE_KIT, UDISKS, PackageKit, storage

pytestmark = [pytest.mark.cockpit, pytest.mark.browser, pytest.mark.timeout(240)]

PAGES: Final = Path(os.environ.get("SPANBRIDGE_TESTS_PAGES", "/var/cache/spanbridge-tests/pages"))
"""Where `.ci/fetch-pages` has put those of the installed front end. Nothing is fetched by a test."""
NEWER_PAGES: Final = Path(f"{PAGES}-backports")
"""And `.ci/fetch-backports` those of the newer one."""


@pytest.fixture(params=[INSTALLED, NEWER], ids=lambda front_end: front_end.name)
def front_end(request: pytest.FixtureRequest) -> FrontEnd:
    front_end: FrontEnd = request.param
    front_end.require()
    return front_end


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[PrivateBus]:
    with private_bus(tmp_path / "bus", kind="system") as running:
        yield running


@pytest.fixture
def package_kit(bus: PrivateBus) -> Iterator[PackageKit]:
    answers = PackageKit()
    services = [Service(bus.address, UDISKS, storage()), Service(bus.address, PACKAGE_KIT, answers)]
    yield answers
    for service in services:
        service.stop()


@pytest.fixture
def cockpit_ws(
    tmp_path: Path,
    data_home: Path,
    front_end: FrontEnd,
    bus: PrivateBus,
    package_kit: PackageKit,
    session_log: Path,
    evidence: Evidence,
) -> Iterator[CockpitWs]:
    for name in ("storaged", "packagekit"):
        package = (PAGES if front_end is INSTALLED else NEWER_PAGES) / "usr/share/cockpit" / name
        if not package.is_dir():
            lack(f"missing: {package} (.ci/run fetches it)")
        shutil.copytree(package, data_home / "cockpit" / name)
        # They are shown where their services are installed; here stand-ins are.
        manifest = data_home / "cockpit" / name / "manifest.json"
        shown = {key: value for key, value in json.loads(manifest.read_text()).items() if key != "conditions"}
        manifest.write_text(json.dumps(shown))
    environ = {"XDG_DATA_HOME": str(data_home), "DBUS_SYSTEM_BUS_ADDRESS": bus.address}
    command = write_session_command(tmp_path / "session", [SPANBRIDGE, "--debug=open"], environ, session_log)
    with CockpitWs(command, tmp_path / "ws", program=front_end.program) as ws:
        evidence.add_log(ws.log)
        yield ws


def test_they_load_and_show_what_there_is(
    cockpit_ws: CockpitWs, browser: Chrome, package_kit: PackageKit, session_log: Path
) -> None:
    open_page(browser, cockpit_ws.url, "/storage")
    with page(browser, "/storage"):
        wait_for(browser, "the disk", lambda: any("Disk of a test" in each for each in texts(browser, "body")))
        assert any("1 GB" in each for each in texts(browser, "body"))
    browser.get(f"{cockpit_ws.url}/updates")
    with page(browser, "/updates"):
        wait_for(browser, "no updates", lambda: any("up to date" in each for each in texts(browser, "body")))
    assert "GetUpdates" in package_kit.roles
    assert curtains(browser) == []
    errors = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]  # type: ignore[no-untyped-call]
    # A program that the page of updates tries, and fonts that a stylesheet names: Debian has neither.
    assert [each for each in errors if "No module named 'tracer'" not in each and "/assets/fonts/" not in each] == []
    refused = [line for line in session_log.read_text().splitlines() if "not-supported" in line]
    # What the bridge in C refuses too: metrics of PCP, where no helper has it.
    assert [line for line in refused if "metrics1" not in line] == []
