"""Short names for what the project's plugin gives, which its own tests use a lot."""

import signal
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

from spanbridge.testing.gate import Gate
from spanbridge.testing.home import Home
from spanbridge.testing.start import Start

from .missing import what_would_run_all

# A machine under load is slow, and a run is to be repeated: `--hypothesis-profile=default` tries examples that are new.
settings.register_profile("repeated", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeated")

# Whoever starts the tests in the background of a shell has these ignored, which all that they start would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)


@pytest.fixture
def home(spanbridge_home: Home) -> Home:
    return spanbridge_home


@pytest.fixture
def start(spanbridge_start: Start) -> Start:
    return spanbridge_start


@pytest.fixture(scope="module")
def start_shared(spanbridge_start_shared: Start) -> Start:
    return spanbridge_start_shared


@pytest.fixture
def gate(spanbridge_gate: Callable[[], Gate]) -> Callable[[], Gate]:
    return spanbridge_gate


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [report.longrepr[2] for report in terminalreporter.stats.get("skipped", ()) if len(report.longrepr) == 3]
    if line := what_would_run_all(skipped):
        terminalreporter.write_line(line)
