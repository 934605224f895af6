"""The browser and the evidence of failures of tests/browser."""

from ..browser.conftest import browser, evidence, pytest_runtest_makereport

__all__ = ["browser", "evidence", "pytest_runtest_makereport"]
