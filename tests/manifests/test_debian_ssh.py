"""Debian's own ssh package: members that must be there, variables in names of the environment."""

import json
from pathlib import Path
from typing import Any

import pytest

from spanbridge.manifests.match import RuleIndex
from spanbridge.manifests.template import Expansion, compile_rule, expand

from ..missing import lack
from .manifest_tree import LIBEXEC, Tree

INSTALLED = Path("/usr/share/cockpit/ssh/manifest.json")

PRIVATE = ["COCKPIT_SSH_CONNECT_TO_UNKNOWN_HOSTS=true", "COCKPIT_PRIVATE_${channel}=${channel}"]
SSH = "${libexecdir}/cockpit-ssh"
OF_EQUAL_SHAPE = {
    "priority": 100,
    "bridges": [
        {
            "match": {"session": "private", "user": None, "host": None},
            "environ": PRIVATE,
            "spawn": [SSH, "${user}@${host}"],
            "timeout": 30,
            "problem": "not-supported",
        },
        {
            "match": {"session": "private", "host": None},
            "environ": PRIVATE,
            "spawn": [SSH, "${host}"],
            "timeout": 30,
            "problem": "not-supported",
        },
        {
            "match": {"user": None, "host": None},
            "spawn": [SSH, "${user}@${host}"],
            "timeout": 30,
            "problem": "not-supported",
        },
        {"match": {"host": None}, "spawn": [SSH, "${host}"], "timeout": 30, "problem": "not-supported"},
    ],
}


def installed() -> dict[str, Any]:
    if not INSTALLED.exists():
        lack(f"missing: {INSTALLED}", "cockpit-bridge")
    manifest: dict[str, Any] = json.loads(INSTALLED.read_bytes())
    return manifest


@pytest.fixture(params=["our own", pytest.param("installed", marks=pytest.mark.cockpit)])
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Tree:
    tree = Tree(tmp_path)
    tree.package("ssh", installed() if request.param == "installed" else OF_EQUAL_SHAPE)
    return tree


def test_it_loads_without_a_defect(tree: Tree) -> None:
    catalog = tree.load()
    assert (catalog.defects, catalog.hidden, catalog.privileged) == ((), (), ())
    (package,) = catalog.packages
    assert (package.name, package.priority, len(package.bridges)) == ("ssh", 100, 4)
    assert {(rule.timeout, rule.problem) for rule in catalog.rules} == {(30.0, "not-supported")}


ENVIRON = (("COCKPIT_SSH_CONNECT_TO_UNKNOWN_HOSTS", "true"), ("COCKPIT_PRIVATE_a5", "a5"))


@pytest.mark.parametrize(
    ("message", "takers", "environ", "target"),
    [
        ({"host": "h", "user": "u", "session": "private"}, [0, 1, 2, 3], ENVIRON, "u@h"),
        ({"host": "h", "session": "private"}, [1, 3], ENVIRON, "h"),
        ({"host": "h", "user": "u"}, [2, 3], (), "u@h"),
        ({"host": "h"}, [3], (), "h"),
        ({"host": "h", "session": "shared"}, [3], (), "h"),
        ({"host": "h", "user": None}, [2, 3], (), "@h"),
    ],
)
def test_what_each_kind_of_open_expands_to(
    tree: Tree, message: dict[str, Any], takers: list[int], environ: tuple[tuple[str, str], ...], target: str
) -> None:
    message = {"payload": "echo", "channel": "a5", **message}
    found = list(RuleIndex(tree.load().rules).candidates(message))
    assert [rule.position for rule in found] == takers
    expansion = expand(compile_rule(found[0]), message)
    assert expansion == Expansion((f"{LIBEXEC}/cockpit-ssh", target), environ, None)


def test_an_open_of_this_host_is_for_none_of_them(tree: Tree) -> None:
    assert list(RuleIndex(tree.load().rules).candidates({"payload": "echo", "user": "u"})) == []


@pytest.mark.cockpit
def test_all_of_the_installed_packages_load_without_a_defect(tmp_path: Path) -> None:
    installed()
    tree = Tree(tmp_path)
    tree.environ["XDG_DATA_DIRS"] = str(INSTALLED.parents[2])
    catalog = tree.load()
    assert [str(defect) for defect in catalog.defects] == []
    assert "ssh" in {package.name for package in catalog.packages}
