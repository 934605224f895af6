"""Headless Chromium, driven by Debian's chromedriver: its own profile, and no way to the network."""

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from .parts import CHROMEDRIVER, CHROMIUM
from .processes import MARK, whole_family_ends

_ARGUMENTS = (
    "--headless",
    "--no-sandbox",  # root is refused without it
    "--disable-gpu",
    "--disable-dev-shm-usage",  # /dev/shm is small in containers
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--window-size=1280,900",
)


@contextlib.contextmanager
def chromium(directory: Path) -> Iterator[Chrome]:
    """A browser that ends with the block. `directory` is made, for its profile, home and log."""
    home = directory / "home"
    home.mkdir(parents=True)
    run = uuid.uuid4().hex
    options = ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (*_ARGUMENTS, f"--user-data-dir={directory / 'profile'}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = Service(
        CHROMEDRIVER,  # named, so that selenium does not look for one on the network
        log_output=str(directory / "chromedriver.log"),
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": str(home), MARK: run},
    )
    with whole_family_ends(run):
        browser = Chrome(options=options, service=service)
        try:
            yield browser
        finally:
            browser.quit()
