"""`spanbridge list`: what is in use, in which order, what is not, and why."""

import json
from pathlib import Path
from typing import Any

import pytest

from spanbridge.payloads.base import PAYLOADS
from spanbridge.testing.home import Home

from ..missing import lack
from .checking import override, run, system_package

CAT = ["/bin/cat"]
DEBIAN = Path("/usr/share/cockpit")


def listed(home: Home, *arguments: str, **settings: Any) -> dict[str, Any]:
    done = run(home, "list", "--json", *arguments, **settings)
    assert (done.returncode, done.stderr) == (0, "")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def text(home: Home, *arguments: str) -> str:
    done = run(home, "list", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_packages(home: Home) -> None:
    home.package("b", {"match": {}, "spawn": CAT}, {"privileged": True, "spawn": CAT}, name="renamed", priority=2.5)
    path = system_package(home, "a", {})
    assert listed(home)["packages"] == [
        {
            "name": "a",
            "path": str(path.parent),
            "priority": 1.0,
            "user": False,
            "overrides": [],
            "rules": 0,
            "privileged": 0,
        },
        {
            "name": "renamed",
            "path": str(home.data_home / "cockpit/b"),
            "priority": 2.5,
            "user": True,
            "overrides": [],
            "rules": 1,
            "privileged": 1,
        },
    ]
    told = text(home)
    assert f"  renamed  {home.data_home}/cockpit/b  (priority 2.5, 1 rule, 1 privileged)\n" in told
    assert f"  a        {path.parent}\n" in told


def test_rules_in_the_order_in_which_they_are_tried(home: Home) -> None:
    """As the bridge has them, each as it is written."""
    full = {
        "match": {"payload": "x", "a": None},
        "spawn": ["/bin/cat", "a b", "${a}"],
        "environ": ["A=${a} b"],
        "directory": "/tmp",
        "problem": "access-denied",
        "timeout": 2.5,
        "label": "Full",
    }
    home.package("low", {"match": {}, "spawn": CAT}, priority=0)
    home.package("high", full, {"match": {"payload": "y"}, "spawn": CAT}, priority=5)
    rules = listed(home)["rules"]
    assert [(rule["order"], rule["name"]) for rule in rules] == [
        (1, "high/bridges[0]"),
        (2, "high/bridges[1]"),
        (3, "low/bridges[0]"),
        (4, "spanbridge/bridges[0]"),  # that of extensions
    ]
    assert {name: rules[0][name] for name in full} == full
    bridges = json.loads(run(home, "--bridges").stdout)
    assert [rule["source"] for rule in rules] == [rule["source"] for rule in bridges if rule["package"] != "ssh"]
    told = text(home).splitlines()
    at = next(number for number, line in enumerate(told) if "high/bridges[0]" in line)
    assert [line.strip() for line in told[at + 1 : at + 4]] == [
        '{"payload":"x","a":null}',
        "A='${a} b' /bin/cat 'a b' '${a}'",
        "directory /tmp, problem access-denied, timeout 2.5, label Full",
    ]


@pytest.mark.parametrize(
    ("environ", "shown"),
    [
        ("A=b", "A=b"),
        ("A=", "A=''"),
        ("A=${a}=c", "A='${a}=c'"),
        ("${a}_X=${b}", "'${a}_X=${b}'"),
        ("${a}=b", "'${a}=b'"),
    ],
)
def test_the_quotes_of_an_environment(home: Home, environ: str, shown: str) -> None:
    """Around the value, or around all of it where the name needs them."""
    home.package("test", {"match": {"payload": "x"}, "spawn": ["/bin/cat"], "environ": [environ]})
    assert f"       {shown} /bin/cat" in text(home).splitlines()


def test_privileged_bridges(home: Home) -> None:
    """Which are offered, by what id; and why the others are not."""
    home.package(
        "test",
        {"privileged": True, "label": "Root", "spawn": CAT},
        {"privileged": True, "spawn": ["/bin/cat"]},
        {"privileged": True, "label": "Root", "spawn": CAT},
        {"privileged": True, "spawn": ["no-such-program"]},
    )
    found = listed(home)["privileged"]
    assert [(each["id"], "left_out" in each) for each in found] == [
        ("Root", False),
        ("cat", False),
        ("Root", True),
        ("no-such-program", True),
    ]
    assert "same id" in found[2]["left_out"]
    assert "not found" in found[3]["left_out"]
    told = text(home)
    assert "Root  offered  test/bridges[0]" in told
    assert "no-such-program  not offered: no-such-program is not found" in told


def test_overrides_and_what_they_are_of(home: Home) -> None:
    home.package("test", {"match": {}, "spawn": CAT})
    inner = home.data_home / "cockpit/test/override.json"
    inner.write_text("{}")
    patch = '{"bridges": [\n{"match": {}, "spawn": ["/bin/true"]}]}'
    applied = override(home, "test.override.json", patch)
    unused = override(home, "other.override.json", {})
    found = listed(home)
    assert found["packages"][0]["overrides"] == [str(inner), str(applied)]
    assert found["unused_overrides"] == [str(unused)]
    assert found["rules"][0]["source"] == f"{applied}:2"
    told = text(home)
    assert f"+ {inner}\n" in told
    assert f"+ {applied}\n" in told
    assert f"  {unused}\n" in told


def test_hidden_packages_and_why(home: Home) -> None:
    home.package("test")
    shadowed = system_package(home, "test", {})
    unmet = system_package(home, "unmet", {"conditions": [{"path-exists": "/nonexistent/x"}]})
    wants = system_package(home, "wants", {"requires": {"cockpit": "99999"}})
    lower = system_package(home, "lower", {"name": "test", "priority": 0})
    broken = system_package(home, "broken", "{")
    reasons = {each["path"]: each["reason"] for each in listed(home)["hidden"]}
    assert reasons.keys() == {str(path.parent) for path in (shadowed, unmet, wants, lower, broken)}
    assert str(home.data_home / "cockpit/test") in reasons[str(shadowed.parent)]
    assert 'path-exists "/nonexistent/x"' in reasons[str(unmet.parent)]
    assert "99999" in reasons[str(wants.parent)]
    assert "priority 0 is lower" in reasons[str(lower.parent)]
    assert str(broken) in reasons[str(broken.parent)]
    told = text(home)
    assert all(reason in told for reason in reasons.values())


def test_defects(home: Home) -> None:
    home.package("test", {"match": 5})
    (defect,) = listed(home)["defects"]
    assert (defect["member"], defect["line"]) == ("bridges[0].match", 1)
    assert "bridges[0].match: found number 5, expected an object" in text(home)


def test_nothing_at_all(home: Home) -> None:
    found = listed(home)
    assert found["package_directories"] == [f"{home.data_home}/cockpit", f"{home.data_dir}/cockpit"]
    assert found["override_directories"] == [f"{home.config_dir}/cockpit", f"{home.config_home}/cockpit"]
    assert f"none in {home.data_home}/cockpit, {home.data_dir}/cockpit" in text(home)


@pytest.mark.parametrize("name", ["renamed", "one"])
def test_one_package(home: Home, name: str) -> None:
    """By its name, or that of its directory."""
    home.package("one", {"match": 5}, {"match": {}, "spawn": CAT}, name="renamed")
    home.package("two", {"match": 5}, {"match": {}, "spawn": CAT}, {"privileged": True, "spawn": CAT})
    system_package(home, "two", {})
    override(home, "two.override.json", "{")
    override(home, "one.override.json", "{")
    found = listed(home, name)
    assert [each["name"] for each in found["packages"]] == ["renamed"]
    assert [each["name"] for each in found["rules"]] == ["renamed/bridges[1]"]
    assert found["privileged"] == found["hidden"] == []
    assert [Path(each["file"]).name for each in found["defects"]] == ["one.override.json", "manifest.json"]
    assert [Path(each).name for each in found["unused_overrides"]] == ["one.override.json"]
    assert found["rules"][0]["order"] == 1
    assert [each["path"] for each in listed(home, "two")["hidden"]] == [f"{home.data_dir}/cockpit/two"]


@pytest.mark.parametrize(
    ("arguments", "said"), [(["stroage"], "did you mean storage?"), (["--nonsense"], "--nonsense"), (["\33"], "x1b")]
)
def test_what_cannot_be_run(home: Home, arguments: list[str], said: str) -> None:
    home.package("storage")
    done = run(home, "list", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_characters_that_a_terminal_would_act_on(home: Home) -> None:
    home.package(
        "test", {"match": {"\33": 1}, "spawn": ["\33[2J", "\n"]}, {"privileged": True, "spawn": CAT, "label": "\7"}
    )
    override(home, "\udcff\33.override.json", {})
    told = text(home)
    assert "\33" not in told
    assert "\7" not in told
    assert "\\x1b" in told
    assert listed(home)["rules"][0]["spawn"] == ["\33[2J", "\n"]


@pytest.mark.cockpit
def test_debian(home: Home) -> None:
    if not DEBIAN.exists():
        lack("missing: cockpit's pages", "cockpit-system")
    found = listed(home, environ={"XDG_DATA_DIRS": str(DEBIAN.parent)})
    assert {"shell", "ssh", "system"} <= {each["name"] for each in found["packages"]}
    assert found["defects"] == []
    assert [each["id"] for each in found["privileged"]] == ["sudo", "pkexec"]


def test_payloads(home: Home) -> None:
    for payload in ("mine", "a*"):
        home.package(payload[:1], {"match": {"payload": payload}, "spawn": ["/bin/cat"]})
    assert run(home, "list", "--payloads").stdout.split() == sorted([*PAYLOADS, "mine", "extension-events"])
