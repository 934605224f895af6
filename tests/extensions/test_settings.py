"""What the user has decided, where the file that says so is damaged: nothing runs that may have been disabled."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from spanbridge.extensions.host_log import HostLog
from spanbridge.extensions.life.settings import Setting, Settings

from .site import Page, Site, hello
from .test_tools import Tool, tool

__all__ = ["tool"]

MINE = "/api/extensions"
ASKS = {"permissions": {"read": ["/etc"]}}


def _states(page: Page) -> dict[str, str]:
    return {each["name"]: each["state"] for each in page.get(MINE).json["extensions"]}


def _begun(site: Site) -> Path:
    """Two that are on, one of them with consent, and one that is off; the file that says so, and no host."""
    site.extension("on", hello())
    site.extension("off", hello())
    site.extension("asks", hello(), spanbridge=ASKS)
    bridge = site.bridge()
    page = Page(bridge.front_end)
    assert page("POST", f"{MINE}/asks/enable", ASKS).status == 200
    assert page("POST", f"{MINE}/off/disable").status == 200
    assert _states(page) == {"on": "idle", "off": "disabled", "asks": "idle"}
    bridge.end()
    site.wait_log("host-ended")
    return site.state / "settings.json"


def _whole(damage: str, path: Path) -> None:
    match damage:
        case "half":
            path.write_bytes(path.read_bytes()[:-9])
        case "empty":
            path.write_bytes(b"")
        case "no object":
            path.write_bytes(b"[]")
        case "no text":
            path.write_bytes(b'{"on":"\xff"}')
        case "deep":
            path.write_bytes(b'{"on":' + b"[" * 100_000)
        case "huge":
            os.truncate(path, 1 << 40)
        case "FIFO":
            path.unlink()
            os.mkfifo(path)
        case "link":
            path.unlink()
            path.symlink_to("absent")


DAMAGES = ("half", "empty", "no object", "no text", "deep", "huge", "FIFO", "link")


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_cannot_be_read_is_unknown_until_it_is_decided(tmp_path: Path, damage: str) -> None:
    path, log = tmp_path / "settings.json", HostLog(os.devnull, 1_000)
    path.write_bytes(b'{"on":{"consent":{"run":true}},"off":{"enabled":false}}')
    _whole(damage, path)
    before = path.lstat()
    settings = Settings(str(tmp_path), log)
    assert settings["on"] == settings["off"] == Setting(enabled=False)
    assert settings.problem("on").startswith(f"{path}: ")
    assert '; expected an object such as {"NAME": {"enabled": false}}; ' in settings.problem("on")
    settings.put("on", Setting(version="1"))
    assert os.path.samestat((tmp_path / "settings.json.damaged").lstat(), before)
    for each in (settings, Settings(str(tmp_path), log)):
        assert (each["on"], each.problem("on")) == (Setting(version="1"), "")
        assert each["off"] == each["later"] == Setting(enabled=False)
        assert each.problem("off").startswith(f"{path}: ")


@pytest.mark.parametrize(
    "wrong", [1, None, [], {"enabled": "no"}, {"consent": {"all": True}}, {"consent": {"read": ["x"]}}]
)
def test_what_is_no_setting_is_unknown_by_itself(tmp_path: Path, wrong: Any) -> None:
    path, log = tmp_path / "settings.json", HostLog(os.devnull, 1_000)
    path.write_text(json.dumps({"on": wrong, "off": {"enabled": False}}))
    settings = Settings(str(tmp_path), log)
    assert (settings["on"], settings["off"]) == (Setting(enabled=False), Setting(enabled=False))
    assert settings.problem("on").startswith(f"{path}: on: ")
    assert (settings["later"], settings.problem("off"), settings.problem("later")) == (Setting(), "", "")
    settings.put("later", Setting(version="1"))
    assert json.loads(path.read_bytes())["on"] == wrong
    settings.put("on", Setting(version="1"))
    assert Settings(str(tmp_path), log)["on"] == Setting(version="1")


@pytest.mark.parametrize("damage", ["half", "FIFO"])
def test_nothing_runs_that_may_be_disabled_until_the_user_decides(site: Site, tool: Tool, damage: str) -> None:
    path = _begun(site)
    _whole(damage, path)
    before = path.lstat()
    bridge = site.bridge()
    page = Page(bridge.front_end)
    assert set(_states(page).values()) == {"disabled"}
    for name in ("on", "off", "asks"):
        told = page.get(f"/api/ext/{name}/")
        assert told.error == (503, "disabled")
        assert str(path) in told.json["message"]
    assert os.path.samestat(path.lstat(), before)  # nobody has written over it
    listed = tool("list")
    assert listed.count(f"  {path}: ") == 3, listed
    assert listed.count('; expected an object such as {"NAME": {"enabled": false}}') == 3
    assert tool("enable", "on") == "on: idle\n"
    assert os.path.samestat((path.parent / "settings.json.damaged").lstat(), before)
    assert page.get("/api/ext/on/").status == 200
    bridge.end()
    page = site.session()
    assert _states(page) == {"on": "idle", "off": "disabled", "asks": "disabled"}
    assert page("POST", f"{MINE}/asks/enable").error == (409, "permissions-differ")
    assert page("POST", f"{MINE}/asks/enable", ASKS).json["state"] == "idle"
    assert page("POST", f"{MINE}/off/disable").json["error"] is None
    site.extension("later", hello())
    assert page.get("/api/ext/later/").error == (503, "disabled")
    actions = [each["action"] for each in page.get(f"{MINE}/audit").json["entries"]]
    assert actions == ["consent", "disable", "enable", "enable", "consent", "disable"]


def test_a_setting_that_is_damaged_alone_leaves_the_others(site: Site) -> None:
    wrong = {"enabled": False, "consent": {"all": True}}
    path = _begun(site)
    kept = json.loads(path.read_bytes())
    path.write_text(json.dumps({**kept, "on": wrong}))
    bridge = site.bridge()
    page = Page(bridge.front_end)
    assert _states(page) == {"on": "disabled", "off": "disabled", "asks": "idle"}
    (told,) = [each for each in page.get(MINE).json["extensions"] if each["name"] == "on"]
    assert told["error"].startswith(f"{path}: on: ")
    site.extension("later", hello())
    assert page.get("/api/ext/later/").status == 200  # which is noted in the file
    assert page("POST", f"{MINE}/off/enable").json["state"] == "idle"
    bridge.end()
    assert json.loads(path.read_bytes())["on"] == wrong
    assert json.loads((path.parent / "settings.json.damaged").read_bytes())["on"] == wrong
    page = site.session()
    assert _states(page) == {"on": "disabled", "off": "idle", "asks": "idle", "later": "idle"}
    assert page("POST", f"{MINE}/on/enable").json["error"] is None
    assert page.get("/api/ext/on/").status == 200


def test_a_directory_in_the_place_of_the_file_is_told(site: Site) -> None:
    path = _begun(site)
    path.unlink()
    path.mkdir()
    page = site.session()
    assert set(_states(page).values()) == {"disabled"}
    why = f"the settings cannot be written: {path}: found a directory, expected a file: move it away"
    for action in ("enable", "disable"):
        told = page("POST", f"{MINE}/on/{action}")
        assert (told.status, told.json["message"]) == (500, why)
    assert page.get("/api/ext/on/").error == (503, "disabled")
    path.rmdir()
    assert page("POST", f"{MINE}/on/enable").json["state"] == "idle"
    assert "settings-not-kept" not in site.log


def test_a_fifo_in_the_place_of_the_next_file_holds_nobody_up(site: Site) -> None:
    path = _begun(site)
    os.mkfifo(path.with_name("settings.json.new"))
    told = site.session()("POST", f"{MINE}/on/disable")
    assert (told.status, "settings.json.new" in told.json["message"]) == (500, True)
