"""The package of docs/pages.md, word for word, behind Debian's cockpit-ws."""

import json
import re
import sys
from pathlib import Path
from typing import Final

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from .cockpit_ws import CockpitWs
from .conftest import PackageDir
from .parts import COCKPIT_SHELL, require
from .shell import wait_for

pytestmark = [pytest.mark.cockpit, pytest.mark.browser]

PAGE: Final = Path(__file__).parents[2] / "docs" / "pages.md"
BLOCK: Final = re.compile(r"^```\w+ ([\w.-]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def _package(package_dir: PackageDir, data_home: Path) -> None:
    """Autouse comes first: the package is there before cockpit-ws starts a session that reads it."""
    require(COCKPIT_SHELL)
    package = data_home / "cockpit" / "disk-use"
    text = PAGE.read_text().replace("@PYTHON@", sys.executable).replace("@PACKAGE@", str(package))
    files = {name: content.encode() for name, content in BLOCK.findall(text)}
    assert set(files) == {"manifest.json", "disk_use.py", "index.html", "disk-use.js"}
    package_dir("disk-use", json.loads(files.pop("manifest.json")), files)


def test_it_shows_the_helpers_answer(cockpit_ws: CockpitWs, browser: Chrome) -> None:
    browser.get(f"{cockpit_ws.url}/cockpit/@localhost/disk-use/index.html")
    answer = browser.find_element(By.ID, "answer")
    wait_for(browser, "the helper's answer", lambda: answer.text != "...")
    assert json.loads(answer.text)["path"] == "/"
    assert json.loads(answer.text)["free"] > 0
