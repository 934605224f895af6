"""What `spanbridge status` is told of privileged helpers."""

import json
import socket
from typing import Any

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.script import exit_with, init, serve

from .site import Site

GOOD = [init(), serve()]


def records(site: Site, bridge: Bridge) -> dict[str, Any]:
    """What became of the helpers of each rule, as the status socket has it."""
    (path,) = (site.home.runtime / "spanbridge").glob(f"{bridge.pid}-*.sock")
    with socket.socket(socket.AF_UNIX) as asking, asking.makefile("rb") as answer:
        asking.connect(str(path))
        told = json.loads(answer.read())
    found: dict[str, Any] = told["rules"]
    return found


def test_one_that_failed_counts_as_failed(site: Site) -> None:
    bridge, _, superuser = site.superuser(site.privileged([exit_with(3)], "one"))
    superuser.fail("Start", "one")
    (record,) = records(site, bridge).values()
    assert (record["started"], record["failed"]) == (1, 1)
    assert "status 3" in record["last-end"]["message"]


def test_a_reload_forgets_nothing_of_a_rule_that_stays(site: Site) -> None:
    bridge, _, superuser = site.superuser(site.privileged(GOOD, "one"))
    superuser.call("Start", "one")
    before = records(site, bridge)
    bridge.reload()
    assert superuser.current == "one"
    after = records(site, bridge)
    assert after.keys() == before.keys()
    assert [record["started"] for record in after.values()] == [1]
