"""Fixtures: the session's packages, a command that runs spanbridge, cockpit-ws with it, and a browser."""

from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome
from urllib3.exceptions import HTTPError

from .chromium import chromium
from .cockpit_ws import CockpitWs, write_package, write_session_command
from .parts import CHROMEDRIVER, CHROMIUM, COCKPIT_WS, SPANBRIDGE, require

LOG_TAIL = 200
"""Lines of a log that a failed test's report holds; the files keep them all."""


class PackageDir(Protocol):
    def __call__(self, name: str, manifest: Mapping[str, Any], files: Mapping[str, bytes] | None = None) -> Path: ...


class Evidence:
    """What is kept of a test that fails: each part gives its text when it is asked for."""

    def __init__(self) -> None:
        self.parts: dict[str, Callable[[], str]] = {}

    def add_log(self, log: Path) -> None:
        self.parts[log.name] = lambda: _tail(log)


def _tail(log: Path) -> str:
    if not log.exists():
        return f"{log} was never written"
    lines = log.read_text(errors="replace").splitlines()
    return "\n".join([f"{log}, the last {min(len(lines), LOG_TAIL)} of {len(lines)} lines:", *lines[-LOG_TAIL:]])


def _what_the_browser_shows(browser: Chrome, screenshot: Path) -> str:
    try:
        browser.save_screenshot(str(screenshot))
        messages = [f"{entry['level']} {entry['message']}" for entry in browser.get_log("browser")]  # type: ignore[no-untyped-call]
        return "\n".join([f"{browser.current_url}, screenshot {screenshot}", *messages[-LOG_TAIL:]])
    except (WebDriverException, HTTPError) as error:
        return f"the browser does not answer: {error}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the evidence into the report of a test that fails, while its browser still runs."""
    report = yield
    evidence = getattr(item, "funcargs", {}).get("evidence")
    if report.failed and isinstance(evidence, Evidence):
        report.sections += [(name, part()) for name, part in evidence.parts.items()]
    return report


@pytest.fixture
def evidence() -> Evidence:
    return Evidence()


@pytest.fixture
def data_home(tmp_path: Path) -> Path:
    """The session's XDG_DATA_HOME."""
    return tmp_path / "data"


@pytest.fixture
def package_dir(data_home: Path) -> PackageDir:
    """Installs a package for the session (see `write_package`)."""
    return lambda name, manifest, files=None: write_package(data_home, name, manifest, files)


@pytest.fixture
def session_command(tmp_path: Path, data_home: Path, evidence: Evidence) -> Path:
    """What cockpit-ws starts as its session: spanbridge, with the packages of `package_dir`."""
    log = tmp_path / "session.log"
    evidence.add_log(log)
    return write_session_command(tmp_path / "session", [SPANBRIDGE], {"XDG_DATA_HOME": str(data_home)}, log)


@pytest.fixture
def cockpit_ws(tmp_path: Path, session_command: Path, evidence: Evidence) -> Iterator[CockpitWs]:
    """A cockpit-ws that runs the session command. Leaving it checks that nothing outlives it."""
    require(COCKPIT_WS)
    with CockpitWs(session_command, tmp_path / "ws") as ws:
        evidence.add_log(ws.log)
        yield ws


@pytest.fixture
def browser(tmp_path: Path, evidence: Evidence, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chrome]:
    """A browser with a fresh profile."""
    require(CHROMIUM, CHROMEDRIVER)
    monkeypatch.setenv("no_proxy", "*")  # selenium would ask a proxy for chromedriver on this very host
    with chromium(tmp_path / "chromium") as running:
        evidence.parts["browser"] = lambda: _what_the_browser_shows(running, tmp_path / "screenshot.png")
        yield running
        del evidence.parts["browser"]


@pytest.fixture
def session_log(tmp_path: Path, evidence: Evidence) -> Path:
    """Where the session is to log; part of the evidence."""
    log = tmp_path / "session.log"
    evidence.add_log(log)
    return log
