"""The example of docs/extensions.md in both languages, and the page that plots, in Chromium."""

import getpass
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from selenium.webdriver import Chrome

from .cockpit_ws import CockpitWs, write_session_command
from .conftest import PackageDir
from .parts import COCKPIT_SHELL, SPANBRIDGE, require
from .shell import wait_for

pytestmark = [pytest.mark.cockpit, pytest.mark.browser]

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
PAGE: Final = b"""<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>Items</title><script src="../base1/cockpit.js"></script></head>
<body><ul id="items"></ul><script src="items.js"></script></body></html>
"""
SCRIPT: Final = b"""
window.http = cockpit.http({ internal: "extensions" });
window.events = [];
const show = item => {
    const made = document.createElement("li");
    made.textContent = item.name;
    document.getElementById("items").append(made);
};
window.add = name => http.post("/api/ext/my-extension/items", { name });
http.get("/api/ext/my-extension/items").then(text => {
    JSON.parse(text).items.forEach(show);
    const channel = cockpit.channel({
        payload: "extension-events", internal: "extensions", extension: "my-extension", topics: ["items"],
    });
    channel.addEventListener("message", (_, text) => show(JSON.parse(text).data));
    channel.addEventListener("ready", () => { document.title = "listening"; });
});
"""


@pytest.fixture(autouse=True)
def _parts(package_dir: PackageDir, data_home: Path, request: pytest.FixtureRequest) -> Iterator[None]:
    """Autouse comes first: all is there before cockpit-ws starts a session."""
    require(COCKPIT_SHELL)
    place = data_home / "spanbridge" / "extensions"
    place.mkdir(parents=True, exist_ok=True)
    example = getattr(request, "param", None) or request.node.callspec.params["example"]
    shutil.copytree(EXAMPLES / "extensions" / example, place / example)
    package_dir("items", {}, {"index.html": PAGE, "items.js": SCRIPT})
    source = EXAMPLES / "packages" / "cockpit" / "disk-history"
    files = {path.name: path.read_bytes() for path in source.iterdir() if path.name != "manifest.json"}
    package_dir("disk-history", json.loads((source / "manifest.json").read_text()), files)
    yield
    shutil.rmtree(place / example)


@pytest.fixture
def session_command(tmp_path: Path, data_home: Path, session_log: Path) -> Path:
    """As everywhere, but with a host of extensions that ends soon after the session."""
    argv = [SPANBRIDGE, "--set", "extension_linger_seconds=0.1"]
    return write_session_command(tmp_path / "session", argv, {"XDG_DATA_HOME": str(data_home)}, session_log)


def items(browser: Chrome) -> list[str]:
    found: Any = browser.execute_script("return [...document.querySelectorAll('li')].map(each => each.textContent)")
    return list(found)


@pytest.mark.parametrize("example", ["my-extension", "my-extension-in-python"])
def test_list_create_and_an_event_in_a_second_page(cockpit_ws: CockpitWs, browser: Chrome, example: str) -> None:
    url = f"{cockpit_ws.url}/cockpit/@localhost/items/index.html"
    browser.get(url)
    wait_for(browser, "the first page to listen", lambda: browser.title == "listening")
    first = browser.current_window_handle
    browser.switch_to.new_window("tab")
    browser.get(url)
    wait_for(browser, "the second page to listen", lambda: browser.title == "listening")
    browser.execute_script("window.add('from the second page')")
    wait_for(browser, "its own event", lambda: items(browser)[-1:] == ["from the second page"])
    browser.switch_to.window(first)
    wait_for(browser, "the event in the first page", lambda: items(browser)[-1:] == ["from the second page"])
    browser.get(url)
    wait_for(browser, "the list", lambda: items(browser)[-1:] == ["from the second page"])
    told = browser.execute_async_script(
        "window.http.get('/api/extensions/audit').then(text => arguments[0](JSON.parse(text).entries))"
    )
    assert told[-1]["actor"]["name"] == getpass.getuser()
    assert told[-1]["details"] == {"name": "from the second page"}


@pytest.mark.parametrize("example", ["disk-history"])
def test_the_page_plots(cockpit_ws: CockpitWs, browser: Chrome, example: str) -> None:
    browser.get(f"{cockpit_ws.url}/cockpit/@localhost/disk-history/index.html")
    lines = "return document.querySelectorAll('#plot-root polyline').length"
    wait_for(browser, "a line", lambda: browser.execute_script(lines) > 0)
    browser.execute_script("document.getElementById('sample').click()")
    said = "return document.getElementById('said').textContent"
    wait_for(browser, "the alerts", lambda: "full.root" in browser.execute_script(said))
