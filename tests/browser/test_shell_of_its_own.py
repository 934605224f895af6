"""Debian's front ends on spanbridge alone: no package hands anything to another bridge."""

import contextlib
import json
import os
import pwd
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from .cockpit_ws import CockpitWs, write_session_command
from .conftest import Evidence, PackageDir
from .front_ends import INSTALLED, NEWER, FrontEnd
from .parts import SPANBRIDGE
from .processes import arguments, children
from .shell import click, curtains, fill, menu, open_page, page, texts, wait_for
from .tap import Tap, tapped

PAGE = Path(__file__).with_name("pids")
HELPER = Path(__file__).parents[2] / "examples/helpers/example_helper.py"

pytestmark = [pytest.mark.cockpit, pytest.mark.browser, pytest.mark.timeout(180)]


@pytest.fixture(params=[INSTALLED, NEWER], ids=lambda front_end: front_end.name)
def front_end(request: pytest.FixtureRequest) -> FrontEnd:
    chosen: FrontEnd = request.param
    chosen.require()
    return chosen


@pytest.fixture
def tap(tmp_path: Path) -> Tap:
    return Tap(tmp_path / "session.stdin")


@pytest.fixture
def session_command(tmp_path: Path, data_home: Path, tap: Tap, evidence: Evidence) -> Path:
    log = tmp_path / "session.log"
    evidence.add_log(log)
    argv = tapped([SPANBRIDGE, "--debug"], tap.file)
    return write_session_command(tmp_path / "session", argv, {"XDG_DATA_HOME": str(data_home)}, log)


@pytest.fixture
def cockpit_ws(tmp_path: Path, front_end: FrontEnd, session_command: Path, evidence: Evidence) -> Iterator[CockpitWs]:
    with CockpitWs(session_command, tmp_path / "ws", program=front_end.program) as ws:
        evidence.add_log(ws.log)
        yield ws


def helpers(ws: CockpitWs) -> list[int]:
    """The helpers below the session, spanbridge; the programs that pages run for a moment are its children, too."""
    session = ws.session_pid()
    assert SPANBRIDGE in arguments(session)
    return [pid for pid in children(session) if is_helper(pid)]


def is_helper(pid: int) -> bool:
    """Whether it is another bridge, or the helper of our package."""
    with contextlib.suppress(OSError):  # it has ended meanwhile
        names = [Path(word).name for word in arguments(pid)]
        return HELPER.name in names or any(name.startswith("cockpit-") for name in names)
    return False


# The shell


def open_shell(browser: Chrome, ws: CockpitWs) -> None:
    """Load the shell, and wait until all that it shows and all that it loads ahead is there."""
    open_page(browser, ws.url, "/")
    for path in ("/system", "/system/services"):
        with page(browser, path):
            wait_for(browser, f"all of {path}", lambda: is_complete(browser))
    wait_for(browser, "all of the shell", lambda: is_complete(browser))


def is_complete(browser: Chrome) -> bool:
    state = browser.execute_script("return document.readyState")
    return bool(state == "complete")


def test_the_shell_shows_and_a_second_load_takes_its_files_from_the_browsers_cache(
    front_end: FrontEnd, cockpit_ws: CockpitWs, browser: Chrome, tap: Tap
) -> None:
    open_shell(browser, cockpit_ws)
    shows_all(browser)
    first = tap.package_files()
    stored = {path for path in first if may_be_stored(front_end, path)}
    assert {"/base1/cockpit.js", "/system/index.html", "/system/overview.js", "/system/services.js"} <= stored

    browser.switch_to.new_window("tab")
    open_shell(browser, cockpit_ws)
    second = tap.package_files()[len(first) :]
    shows_all(browser)
    assert "/shell/index.html" in second  # the same session has served both
    assert [path for path in second if may_be_stored(front_end, path)] == []

    assert helpers(cockpit_ws) == []
    assert front_end.manifests in first
    asks_whether_to_warn = ["/config", "cockpit.Config", "GetString", ["Session", "WarnBeforeConnecting"]]
    assert (asks_whether_to_warn in tap.calls()) == (front_end is NEWER)


def shows_all(browser: Chrome) -> None:
    """The menu, the user's name, the overview, and no curtain."""
    user = pwd.getpwuid(os.getuid()).pw_name
    assert {"Overview", "Logs", "Services", "Terminal"} <= set(menu(browser))
    wait_for(browser, f"the name {user}", lambda: texts(browser, "#current-username") == [user])
    with page(browser, "/system"):
        wait_for(browser, "the overview", lambda: "System information" in texts(browser, "[class*=card__title]"))
    assert curtains(browser) == []


def may_be_stored(front_end: FrontEnd, path: str) -> bool:
    """Whether a browser may keep it: a file of a package, and the same one in every language.

    cockpit-ws itself forbids it for the shell's own page, so that a login after a logout gets a fresh one.
    """
    if path == "/shell/index.html" or path.endswith("/po.js"):
        return False
    return path == "/manifests.js" or front_end.has_file(path)


# A page of one's own


@pytest.fixture
def pids(data_home: Path, package_dir: PackageDir) -> Path:
    """A package with a page, and with a helper for each tag, that serves the payload `pids`. Gives its manifest."""
    files = {file.name: file.read_bytes() for file in (*PAGE.iterdir(), HELPER)}
    rules = [rule("pids", data_home / "cockpit/pids" / HELPER.name)]
    return package_dir("pids", {"menu": {"index": {"label": "Pids"}}, "bridges": rules}, files) / "manifest.json"


def rule(payload: str, program: Path) -> dict[str, object]:
    return {"match": {"payload": payload}, "spawn": [sys.executable, "-I", str(program), "--tag", "${tag}"]}


def add_rule(manifest: Path, payload: str) -> None:
    content = json.loads(manifest.read_text())
    content["bridges"].append(rule(payload, manifest.parent / HELPER.name))
    manifest.write_text(json.dumps(content))


def fill_in(browser: Chrome, form: str, **values: str) -> None:
    """Submit a form of the page with these values in its fields."""
    for field, value in values.items():
        fill(browser, f"#{field}", value)
    click(browser, within=f"#{form}")


def shown(browser: Chrome) -> list[dict[str, str]]:
    """What the page shows of each channel: `pid`, `closed` (a problem), and by tag what the helper said last."""
    return [dict(told.split("=", 1) for told in row.split()) for row in texts(browser, "#channels li")]


def open_channel(browser: Chrome, payload: str, tag: str) -> dict[str, str]:
    """Open one more, and give what the page shows of it once there is something."""
    before = len(shown(browser))
    fill_in(browser, "open", payload=payload, tag=tag)
    wait_for(browser, f"a channel {payload} {tag}", lambda: any(shown(browser)[before:]))
    return shown(browser)[before]


@pytest.mark.usefixtures("front_end")
def test_channels_of_a_page_stay_while_a_reload_brings_a_new_rule(
    pids: Path, cockpit_ws: CockpitWs, browser: Chrome
) -> None:
    open_page(browser, cockpit_ws.url, "/pids")
    assert "Pids" in menu(browser)

    with page(browser, "/pids"):
        red, red_again, blue = (open_channel(browser, "pids", tag) for tag in ("red", "red", "blue"))
        assert red == red_again != blue
        assert sorted([int(red["pid"]), int(blue["pid"])]) == helpers(cockpit_ws)

        add_rule(pids, "more")
        refused = open_channel(browser, "more", "green")
        assert refused == {"closed": "not-supported"}
        fill_in(browser, "reload")
        wait_for(browser, "the reload", lambda: texts(browser, "#reloads") == ["1"])
        green = open_channel(browser, "more", "green")

        fill_in(browser, "say", words="still-here")
        answered = [
            {**red, "red": "still-here"},
            {**red, "red": "still-here"},
            {**blue, "blue": "still-here"},
            refused,
            {**green, "green": "still-here"},
        ]
        wait_for(browser, f"{answered}", lambda: shown(browser) == answered)
        assert {int(row["pid"]) for row in (red, blue, green)} == set(helpers(cockpit_ws))
    assert curtains(browser) == []
