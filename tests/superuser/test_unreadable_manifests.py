"""A bridge of an ordinary user, among manifests that this user may not read (docs/packages.md)."""

import json
from pathlib import Path

import pytest

from spanbridge.testing.script import init, serve

from .site import Site

GOOD = [init(), serve()]


@pytest.mark.parametrize("what", ["manifest", "package", "override", "user's override"])
def test_each_is_one_line_of_the_log(site: Site, what: str) -> None:
    """With its path, as an error: it may have been there to refuse something. All others serve, and a reload that may
    read it takes it up."""
    packages = site.home.data_home / "cockpit"
    site.home.package("good", site.helper({"payload": "good"}, GOOD))
    site.home.package("closed", site.helper({"payload": "closed"}, GOOD))
    path = {
        "manifest": packages / "closed/manifest.json",
        "package": packages / "closed",
        "override": packages / "good/override.json",
        "user's override": site.home.config_home / "cockpit/good.override.json",
    }[what]
    if "override" in what:
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"bridges": [site.helper({"payload": "good"}, GOOD)], "priority": 5}))
    path.chmod(0)
    bridge = site.start()
    front = bridge.front_end
    front.open("a", "good")
    front.expect("ready", "a")
    (line,) = bridge.log.matches("error: manifest ")
    assert str(path) in line
    assert "Permission denied" in line
    path.chmod(0o755)
    bridge.reload()
    front.open("b", "closed")
    front.expect("ready", "b")
    assert len(bridge.log.matches("error: manifest ")) == 1


def test_a_data_directory_that_may_not_be_listed(site: Site) -> None:
    """The other ones serve. On a reload the rules stay as they were, rather than all of that directory's going."""
    system: Path = site.home.data_dir / "cockpit"
    (system / "system").mkdir(parents=True)
    text = json.dumps({"bridges": [site.helper({"payload": "system"}, GOOD)]})
    (system / "system/manifest.json").write_text(text)
    site.home.package("good", site.helper({"payload": "good"}, GOOD))
    bridge = site.start()
    front = bridge.front_end
    front.open("a", "system")
    front.expect("ready", "a")
    system.chmod(0)
    try:
        bridge.signal(10)
        bridge.log.wait("cannot be read")
        front.send("a", b"alive")
        assert front.data("a", 5) == b"alive"
        another = site.start()
        another.front_end.open("a", "good")
        another.front_end.expect("ready", "a")
        assert len(another.log.matches("cannot be read: Permission denied")) == 1
    finally:
        system.chmod(0o755)
