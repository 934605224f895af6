"""`spanbridge check`: what it finds, where, how bad, and what it says to do."""

import json
import os
import pty
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.manifests.files import read_document
from spanbridge.manifests.libexec import Libexecdir
from spanbridge.manifests.load import load
from spanbridge.manifests.written import KNOWN, MEMBERS
from spanbridge.operator import check as checks
from spanbridge.operator.checking.finding import KINDS, Source
from spanbridge.operator.checking.form import of_source
from spanbridge.operator.checking.shells import injections
from spanbridge.operator.checking.spelling import nearest
from spanbridge.testing.bridge import SPANBRIDGE
from spanbridge.testing.deadline import SECONDS
from spanbridge.testing.home import Home

from ..manifests.manifest_tree import properties
from ..manifests.test_docs_manifests import BLOCKS, rows
from ..missing import lack
from ..superuser.conftest import directory, installation, site
from ..superuser.site import Site
from .checking import check, override, run, system_package

__all__ = ["directory", "installation", "site"]

CAT = ["/bin/cat"]
GOOD = {"match": {"payload": "x"}, "spawn": CAT}
DEBIAN = Path("/usr/share/cockpit")


# One thing wrong, one finding

ONE: dict[str, tuple[dict[str, Any], str, str, str]] = {
    # what: manifest, kind, member, a part of the message or suggestion
    "a misspelt member": ({"bridges": [{**GOOD, "timout": 5}]}, "unknown-member", "bridges[0].timout", "timeout"),
    "a strange member": ({"bridges": [{**GOOD, "zzz": 5}]}, "unknown-member", "bridges[0].zzz", "directory, environ"),
    "the old requires": ({"require": {"cockpit": "1"}}, "unknown-member", "require", "requires"),
    "misspelt requires": ({"requirse": {}}, "unknown-member", "requirse", "requires"),
    "misspelt bridges": ({"bridge": []}, "unknown-member", "bridge", "bridges"),
    "misspelt beside the right one": ({"conditions": [], "condition": []}, "unknown-member", "condition", "conditions"),
    "a bridge without its list": ({"spawn": CAT}, "unknown-member", "spawn", "entry of bridges"),
    "another requirement": ({"requires": {"podman": "1"}}, "unmet", "requires.podman", "podman"),
    "a misspelt requirement": ({"requires": {"cokpit": "1"}}, "unmet", "requires.cokpit", "cockpit"),
    "a version of letters": ({"requires": {"cockpit": "new"}}, "invalid", "requires.cockpit", "dotted numbers"),
    "a misspelt condition": (
        {"conditions": [{"path-not-exist": "/nonexistent"}]},
        "unknown-condition",
        "conditions[0].path-not-exist",
        "path-not-exists",
    ),
    "a strange condition": ({"conditions": [{"zzz": 1}]}, "unknown-condition", "conditions[0].zzz", "any, path-exists"),
    "a misspelt condition within any": (
        {"conditions": [{"any": [{"path-exist": "/"}]}]},
        "unknown-condition",
        "conditions[0].any[0].path-exist",
        "path-exists",
    ),
    "two conditions in one": (
        {"conditions": [{"path-exists": "/", "path-not-exists": "/x"}]},
        "invalid",
        "conditions[0]",
        "exactly one member",
    ),
    "any of nothing": ({"conditions": [{"any": []}]}, "never-holds", "conditions[0].any", "never"),
    "there and not there": (
        {"conditions": [{"path-exists": "/usr/"}, {"path-not-exists": "/usr"}]},
        "never-holds",
        "conditions[1].path-not-exists",
        "never hold together",
    ),
    "in what is not there": (
        {"conditions": [{"path-not-exists": "/usr"}, {"path-exists": "/usr/bin"}]},
        "never-holds",
        "conditions[1].path-exists",
        "never hold together",
    ),
    "no alternative is left": (
        {"conditions": [{"path-exists": "/a"}, {"any": [{"path-not-exists": "/a"}, {"any": []}]}]},
        "never-holds",
        "conditions[1].any",
        "none of these",
    ),
    "no root": ({"conditions": [{"path-not-exists": "/"}]}, "never-holds", "conditions[0].path-not-exists", "root"),
    "a relative condition": (
        {"conditions": [{"path-not-exists": "usr"}]},
        "relative",
        "conditions[0].path-not-exists",
        "expected a path from /",
    ),
    "home in a condition": (
        {"conditions": [{"path-not-exists": "~/x"}]},
        "relative",
        "conditions[0].path-not-exists",
        "~ is not expanded",
    ),
    "a name of odd characters": ({"name": "a b"}, "invalid", "name", "letters, digits"),
    "a priority of text": ({"priority": "5"}, "invalid", "priority", "number"),
    "bridges that are no list": ({"bridges": {}}, "invalid", "bridges", "list of bridges"),
    "an entry that is none": ({"bridges": [5]}, "invalid", "bridges[0]", "object"),
    "no match": ({"bridges": [{"spawn": CAT}]}, "invalid", "bridges[0]", "{} matches every open"),
    "no spawn": ({"bridges": [{"match": {}}]}, "invalid", "bridges[0]", "no spawn"),
    "spawn of text": (
        {"bridges": [{"match": {}, "spawn": "/bin/cat -u"}]},
        "invalid",
        "bridges[0].spawn",
        "list of strings",
    ),
    "environ without =": (
        {"bridges": [{**GOOD, "environ": ["A=1", "B"]}]},
        "invalid",
        "bridges[0].environ[1]",
        "NAME=",
    ),
    "privileged with match": (
        {"bridges": [{"privileged": True, "match": {}, "spawn": CAT}]},
        "invalid",
        "bridges[0].match",
        "privileged",
    ),
    "privileged with a variable": (
        {"bridges": [{"privileged": True, "spawn": [*CAT, "${user}"]}]},
        "invalid",
        "bridges[0].spawn[1]",
        "${user}",
    ),
    "a variable in match": (
        {"bridges": [{"match": {"payload": "${x}"}, "spawn": CAT}]},
        "no-effect",
        "bridges[0].match.payload",
        "variables",
    ),
    "a choice of payloads": (
        {"bridges": [{"match": {"payload": ["a", "b"]}, "spawn": CAT}]},
        "never-matches",
        "bridges[0].match.payload",
        "one bridge for each",
    ),
    "a misspelt problem": (
        {"bridges": [{**GOOD, "problem": "acess-denied"}]},
        "no-effect",
        "bridges[0].problem",
        "access-denied",
    ),
    "environ twice": (
        {"bridges": [{**GOOD, "environ": ["A=1", "A=2"]}]},
        "duplicate",
        "bridges[0].environ[1]",
        "A again",
    ),
    "environ of the bridge": (
        {"bridges": [{**GOOD, "environ": ["SPANBRIDGE_DEPTH=0"]}]},
        "no-effect",
        "bridges[0].environ[0]",
        "SPANBRIDGE_DEPTH",
    ),
    "a relative program": (
        {"bridges": [{**GOOD, "spawn": ["./no-such"]}]},
        "relative",
        "bridges[0].spawn[0]",
        "where the bridge was started",
    ),
    "a relative directory": ({"bridges": [{**GOOD, "directory": "."}]}, "relative", "bridges[0].directory", "from /"),
    "a menu of text": ({"menu": {"index": "Page"}}, "front-end", "menu.index", "an object"),
    "a label of the wrong type": ({"menu": {"index": {"label": 5}}}, "front-end", "menu.index.label", "a string"),
    "a policy with a line break at its end": (
        {"content-security-policy": "default-src 'self'\n"},
        "front-end",
        "content-security-policy",
        "fits",
    ),
    "a policy beyond ASCII": ({"content-security-policy": "é"}, "front-end", "content-security-policy", "fits"),
    "preload of text": ({"preload": "index"}, "front-end", "preload", "a list"),
    "no such program": (
        {"bridges": [{**GOOD, "spawn": ["no-such-program"]}]},
        "command",
        "bridges[0].spawn[0]",
        "looked for in PATH",
    ),
    "no such path": ({"bridges": [{**GOOD, "spawn": ["/no/such"]}]}, "command", "bridges[0].spawn[0]", "No such file"),
    "not executable": (
        {"bridges": [{**GOOD, "spawn": ["/etc/passwd"]}]},
        "command",
        "bridges[0].spawn[0]",
        "Permission denied",
    ),
    "a command line": (
        {"bridges": [{**GOOD, "spawn": ["/bin/cat -u"]}]},
        "command",
        "bridges[0].spawn[0]",
        '"spawn": ["/bin/cat", "-u"]',
    ),
    "not in a PATH of its own": (
        {"bridges": [{**GOOD, "spawn": ["cat"], "environ": ["PATH=/nonexistent"]}]},
        "command",
        "bridges[0].spawn[0]",
        "PATH=/nonexistent",
    ),
    "no such directory": (
        {"bridges": [{**GOOD, "directory": "/no/such"}]},
        "directory",
        "bridges[0].directory",
        "No such",
    ),
    "a directory that is none": (
        {"bridges": [{**GOOD, "directory": "/etc/passwd"}]},
        "directory",
        "bridges[0].directory",
        "Not a directory",
    ),
    "a privileged program that is not there": (
        {"bridges": [{"privileged": True, "spawn": ["no-such-sudo"]}]},
        "command",
        "bridges[0].spawn[0]",
        "no-such-sudo",
    ),
    "one id twice": (
        {
            "bridges": [
                {"privileged": True, "label": "Root", "spawn": CAT},
                {"privileged": True, "label": "Root", "spawn": CAT},
            ]
        },
        "twice",
        "bridges[1].label",
        "test/bridges[0]",
    ),
    "one program twice": (
        {"bridges": [{"privileged": True, "spawn": CAT}, {"privileged": True, "spawn": ["cat"]}]},
        "twice",
        "bridges[1].spawn[0]",
        "a label of its own",
    ),
    "behind one that takes all": (
        {"bridges": [{"match": {}, "spawn": CAT, "problem": "not-found"}, GOOD]},
        "unreachable",
        "bridges[1]",
        "never reached: bridges[0]",
    ),
    "the same again": ({"bridges": [GOOD, GOOD]}, "unreachable", "bridges[1]", "cannot be started"),
    "a misspelt variable": (
        {"bridges": [{"match": {"payload": "x", "database": None}, "spawn": [*CAT, "${databse}"]}]},
        "unmatched-variable",
        "bridges[0].spawn[1]",
        "${database}",
    ),
    "a variable of one letter too many": (
        {"bridges": [{"match": {"payload": "x", "unit": None}, "spawn": CAT, "environ": ["UNIT=${units}"]}]},
        "unmatched-variable",
        "bridges[0].environ[0]",
        "${unit}",
    ),
    "a misspelt variable of a directory": (
        {"bridges": [{"match": {"payload": "x", "unit": None}, "spawn": CAT, "directory": "/${unti}"}]},
        "unmatched-variable",
        "bridges[0].directory",
        "${unit}",
    ),
    "a variable in the text of a shell": (
        {"bridges": [{**GOOD, "spawn": ["/bin/sh", "-c", "cat ${file}"]}]},
        "injection",
        "bridges[0].spawn[2]",
        '"$1"',
    ),
    "in that of a shell behind env, after more options": (
        {"bridges": [{**GOOD, "spawn": ["env", "-u", "A", "B=1", "bash", "-e", "-uc", "--", "cat ${file}", "x"]}]},
        "injection",
        "bridges[0].spawn[8]",
        "run anything",
    ),
    "a variable as the whole command": (
        {"bridges": [{**GOOD, "spawn": ["${tool}"]}]},
        "injection",
        "bridges[0].spawn[0]",
        "names the program",
    ),
    "a variable at the beginning of the command": (
        {"bridges": [{**GOOD, "spawn": ["${where}/bin/tool"]}]},
        "injection",
        "bridges[0].spawn[0]",
        "names the program",
    ),
    "an empty problem": ({"bridges": [{**GOOD, "problem": ""}]}, "no-effect", "bridges[0].problem", "access-denied"),
    "two dollars": (
        {"bridges": [{**GOOD, "spawn": [*CAT, "$${tag}"]}]},
        "plain-text",
        "bridges[0].spawn[1]",
        "\\${tag}",
    ),
    "no such program behind env": (
        {"bridges": [{**GOOD, "spawn": ["env", "A=1", "nonesuch"]}]},
        "command",
        "bridges[0].spawn[2]",
        "nonesuch: No such file",
    ),
    "Payload": (
        {"bridges": [{"match": {"Payload": "x"}, "spawn": CAT}]},
        "never-matches",
        "bridges[0].match.Payload",
        "payload",
    ),
    "palyoad": (
        {"bridges": [{"match": {"palyoad": "x"}, "spawn": CAT}]},
        "never-matches",
        "bridges[0].match.palyoad",
        "payload",
    ),
    "Spawn": ({"bridges": [{**GOOD, "Timeout": 5}]}, "unknown-member", "bridges[0].Timeout", "timeout"),
    "env": ({"bridges": [{**GOOD, "env": ["A=1"]}]}, "unknown-member", "bridges[0].env", "environ"),
    "cwd": ({"bridges": [{**GOOD, "cwd": "/"}]}, "unknown-member", "bridges[0].cwd", "directory"),
    "a variable without braces": (
        {"bridges": [{**GOOD, "spawn": [*CAT, "$tag"]}]},
        "plain-text",
        "bridges[0].spawn[1]",
        "$tag",
    ),
}


@pytest.mark.parametrize("what", ONE)
def test_one_thing_wrong(home: Home, what: str) -> None:
    """It is found, and nothing else is. That the message helps is judged by a part of it."""
    manifest, kind, member, part = ONE[what]
    home.package("test", **{"bridges": [], **manifest})
    found = check(home)
    (finding,) = found.findings
    assert (finding["kind"], finding["member"]) == (kind, member)
    assert part in f"{finding['message']} {finding['suggestion']}"
    assert finding["file"] == str(home.data_home / "cockpit/test/manifest.json")
    assert finding["line"] == 1
    assert finding["severity"] == KINDS[kind].severity


INJECTIONS: list[tuple[str, int | None]] = [
    # a command, the word in which the open can have anything run
    ("sudo sh -c ${x}", 3),
    ("nice -n 5 bash -o errexit -ec ${x}", 7),
    ("timeout 5 ${x}", 2),
    ("sudo ${x}", 1),
    ("systemd-run --pipe sh -c ${x}", 4),
    ("su -c ${x} somebody", 2),
    ("python3.11 -Ic print(${x})", 2),
    ("python3 -I -c print(${x})", 3),
    ("perl -ne ${x}", 2),
    ("node --eval ${x}", 2),
    ("ssh -p 22 host ls ${x}", 5),
    ("ssh -l ${user} ${host}", 3),
    ("ssh -l ${user} -- ${host} spanbridge", None),
    ("nice -n ${x} cat", None),
    ("timeout ${x} cat", None),
    ("sudo cat -- ${x}", None),
    ("cat sh -c ${x}", None),
    ("python3 helper.py -c ${x}", None),
    ("taskset ${x} cat", None),
    ("podman exec box sh -c ${x}", 5),
    ("rbash -c ${x}", 2),
    ("sh -e ${x}", 2),
    ("python3 -I ${x}", 2),
    ("python3 -m ${x}", 2),
    ("bash script ${x}", None),
    ("awk -F: {print${x}}", 2),
    ("awk -f script ${x}", None),
    ("""env -S 'sh -c "ls ${x}"'""", 2),
    ("env '-Ssh -c ls${x}' y", 1),
    ("env -S 'cat ${x}'", None),
    ("sh -c 'eval $1' sh ${x}", 4),
    ("sh -c 'cat $1' sh ${x}", None),
]


@pytest.mark.parametrize(("command", "place"), INJECTIONS)
def test_what_becomes_a_command(command: str, place: int | None) -> None:
    assert [found.place for found in injections(shlex.split(command))] == ([] if place is None else [place])


def test_a_variable_of_a_shell_is_a_problem(home: Home) -> None:
    """The helper would be given it as it is written; nobody means that."""
    home.package("test", {**GOOD, "spawn": [*CAT, "$unit"]})
    done = run(home, "check", "--quiet")
    assert done.returncode == 1
    assert """warning: bridges[0].spawn[1]: "$unit" is plain text; a variable is written ${name}""" in done.stdout


FINE: dict[str, dict[str, Any]] = {
    "nothing": {},
    "$schema": {"$schema": "file:///somewhere/manifest.schema.json"},
    "members of its own": {"my-settings": {"a": 1}, "x": None},
    "an escaped variable": {"bridges": [{**GOOD, "spawn": [*CAT, "\\${tag}"]}]},
    "a variable that no match names": {"bridges": [{**GOOD, "spawn": [*CAT, "${tag}"]}]},
    "an argument of a shell": {"bridges": [{**GOOD, "spawn": ["sh", "-c", 'cat "$1"', "x", "${file}"]}]},
    "an option of a program": {"bridges": [{**GOOD, "spawn": [*CAT, "-c", "${file}"]}]},
    "a version that is a number": {"version": 0},
    "members of opens of its own": {"bridges": [{"match": {"payload": "x", "Database": "y"}, "spawn": CAT}]},
    "text for a shell": {"bridges": [{**GOOD, "spawn": ["sh", "-c", "echo $HOME ${x:-y}"]}]},
    "a program that the open names": {"bridges": [{**GOOD, "spawn": ["/opt/${tool}"]}]},
    "a PATH that the open names": {"bridges": [{**GOOD, "spawn": ["tool"], "environ": ["PATH=/opt/${tool}"]}]},
    "a directory that the open names": {"bridges": [{**GOOD, "directory": "/opt/${tool}"}]},
    "found from its directory": {"bridges": [{**GOOD, "directory": "/bin", "spawn": ["./cat"]}]},
    "in a PATH of its own": {"bridges": [{**GOOD, "spawn": ["cat"], "environ": ["PATH=/bin"]}]},
    "exact values that differ": {"bridges": [GOOD, {"match": {"payload": "y"}, "spawn": CAT}]},
    "the narrower first": {"bridges": [GOOD, {"match": {"payload": "*"}, "spawn": CAT}, {"match": {}, "spawn": CAT}]},
    "for other hosts": {"bridges": [{"match": {}, "spawn": CAT}, {"match": {"host": None}, "spawn": CAT}]},
    "true and 1": {"bridges": [{"match": {"a": 1}, "spawn": CAT}, {"match": {"a": True}, "spawn": CAT}]},
    "labels that differ": {
        "bridges": [{"privileged": True, "label": "A", "spawn": CAT}, {"privileged": True, "label": "B", "spawn": CAT}]
    },
    "conditions that hold": {
        "conditions": [{"path-exists": "/"}, {"any": [{"path-not-exists": "/"}, {"path-exists": "/"}]}]
    },
}


@pytest.mark.parametrize("what", FINE)
def test_nothing_wrong(home: Home, what: str) -> None:
    home.package("test", **{"bridges": [], **FINE[what]})
    assert check(home) == (0, [])


def test_every_problem_of_a_file_is_told_of(home: Home) -> None:
    """Where the loader stops at the first for each entry, and at the first that makes a package unusable."""
    text = """{
  "priority": "high",
  "conditions": [ { "path-exists": 1 }, { "path-exists": "/", "any": [] } ],
  "bridges": [
    { "match": [], "spawn": [ 1, 2 ], "timeout": -1,
      "environ": [ "A", "B" ], "nonsense": 1 },
    { "privileged": true, "match": {}, "spawn": [ "${a}", "${b}" ],
      "directory": "/x/${c}" }
  ]
}"""
    home.write_manifest("test", text)
    found = check(home)
    assert [(each["line"], each["column"], each["member"]) for each in found.findings] == [
        (2, 3, "priority"),
        (3, 21, "conditions[0].path-exists"),
        (3, 41, "conditions[1]"),
        (3, 63, "conditions[1].any"),
        (5, 7, "bridges[0].match"),
        (5, 31, "bridges[0].spawn[0]"),
        (5, 34, "bridges[0].spawn[1]"),
        (5, 39, "bridges[0].timeout"),
        (6, 20, "bridges[0].environ[0]"),
        (6, 25, "bridges[0].environ[1]"),
        (6, 32, "bridges[0].nonsense"),
        (7, 27, "bridges[1].match"),
        (7, 51, "bridges[1].spawn[0]"),
        (7, 59, "bridges[1].spawn[1]"),
        (8, 7, "bridges[1].directory"),
    ]


def test_a_name_twice_in_an_object(home: Home) -> None:
    home.write_manifest("test", '{\n "menu": {"a": {}},\n "menu": {"a": {}}\n}')
    finding = check(home).one("duplicate")
    assert (finding["member"], finding["line"], finding["column"]) == ("menu", 3, 2)
    assert "line 2" in finding["message"]


def test_text_that_is_not_json(home: Home) -> None:
    home.write_manifest("test", '{\n  "bridges": [],\n}')
    finding = check(home).one("syntax")
    assert (finding["line"], finding["column"]) == (3, 1)


@pytest.mark.parametrize(
    "content", ["[]", "5", "\0", "\ufeff\ufeff{}", '{"a": ' + "[" * 100 + "]" * 100 + "}", "", '{"a": 1']
)
def test_files_that_hold_no_object(home: Home, content: str) -> None:
    home.write_manifest("test", content)
    (finding,) = check(home).findings
    assert finding["severity"] == "error"


def test_what_stands_under_the_name_of_a_manifest(home: Home) -> None:
    for name in ("directory", "fifo", "dangling"):
        (home.data_home / "cockpit" / name).mkdir(parents=True)
    (home.data_home / "cockpit/directory/manifest.json").mkdir()
    os.mkfifo(home.data_home / "cockpit/fifo/manifest.json")
    (home.data_home / "cockpit/dangling/manifest.json").symlink_to("/nonexistent")
    found = check(home)
    assert found.kinds == ["unreadable"] * 3
    assert [word in each["message"] for word, each in zip(["link", "directory", "FIFO"], found.findings, strict=True)]


def test_a_directory_name_that_is_none(home: Home) -> None:
    home.write_manifest("odd name", "{}")
    assert "letters, digits" in check(home).one("unreadable")["message"]


# Unreachable rules


def test_a_mistake_in_an_entry_that_may_refuse(home: Home) -> None:
    home.package("test", {"match": {"payload": "x"}, "problem": "access-denied", "timeout": "5"}, {"match": 5})
    first, second, third = (each["message"] for each in check(home).findings)
    assert first.endswith("; the bridge is left out, and refuses nothing with its problem")
    assert "refuse" not in second + third


def test_across_packages_of_one_priority(home: Home) -> None:
    """Packages go by name there, which is hardly meant."""
    home.package("a", {"match": {}, "spawn": CAT})
    home.package("b", GOOD)
    finding = check(home).one("unreachable")
    assert finding["file"].endswith("/b/manifest.json")
    assert "a/bridges[0]" in finding["message"]
    assert f"{home.data_home}/cockpit/a/manifest.json:1" in finding["message"]


def test_a_package_put_before_another(home: Home) -> None:
    """What a higher priority is for: no problem, while the rule behind may still be reached."""
    home.package("b", {"match": {}, "spawn": CAT}, priority=2)
    home.package("a", GOOD)
    found = check(home)
    assert found.status == 0
    assert found.one("fallback")["file"].endswith("/a/manifest.json")
    home.package("b", {"match": {}, "spawn": CAT, "problem": "not-found"}, priority=2)
    found = check(home)
    assert found.status == 1
    assert "never reached" in found.one("unreachable")["message"]


def test_the_first_that_covers_is_named(home: Home) -> None:
    home.package("test", GOOD, {"match": {}, "spawn": CAT}, GOOD)
    assert "bridges[0]" in check(home).one("unreachable")["message"]


def test_a_rule_left_out_covers_nothing(home: Home) -> None:
    home.package("test", {"match": {}, "spawn": []}, GOOD)
    assert check(home).kinds == ["invalid"]


# Privileged bridges


def privileged(*spawn: str, **members: Any) -> dict[str, Any]:
    return {"privileged": True, "spawn": list(spawn), **members}


def sudo(home: Home, *, askpass: bool = True) -> str:
    """A program called sudo; its path."""
    path = home.root / "sudo"
    path.write_text(f"#!/bin/sh\necho {'--askpass' if askpass else 'nothing'}\n")
    path.chmod(0o755)
    return str(path)


def test_one_of_two_ways_is_enough(home: Home) -> None:
    home.package("test", privileged(*CAT), privileged("no-such-pkexec"))
    found = check(home)
    assert found.status == 0
    assert found.one("not-offered")["member"] == "bridges[1].spawn[0]"


def test_sudo_that_cannot_ask(home: Home) -> None:
    home.package("test", privileged(sudo(home, askpass=False)))
    assert "askpass" in check(home).one("command")["message"]


@pytest.mark.parametrize("options", [["-A"], ["-kA"], ["--askpass"], ["-u", "root", "-A"], ["-uroot", "-A"]])
def test_askpass_that_is_not_named(home: Home, options: list[str]) -> None:
    home.package("test", privileged(sudo(home), *options, "true"))
    finding = check(home).one("askpass")
    assert finding["suggestion"] == '"environ": ["SUDO_ASKPASS=${libexecdir}/cockpit-askpass"]'


@pytest.mark.parametrize("options", [[], ["-n"], ["-u", "-A"], ["--", "-A"], ["true", "-A"]])
def test_askpass_that_is_not_needed(home: Home, options: list[str]) -> None:
    home.package("test", privileged(sudo(home), *options, "true"))
    assert check(home) == (0, [])


def test_askpass_that_is_named(home: Home) -> None:
    own = ["SUDO_ASKPASS=${libexecdir}/cockpit-askpass"]
    home.package("test", privileged(sudo(home), "-A", "true", environ=own))
    assert check(home) == (0, [])
    home.package("test", privileged(sudo(home), "-A", "true", environ=["SUDO_ASKPASS=/no/such"]))
    assert check(home).one("askpass")["member"] == "bridges[0].environ[0]"


def test_a_member_with_a_name_without_end(home: Home) -> None:
    """Shortened, as values are."""
    home.package("test", {**GOOD, "k" * 10_000: 1})
    assert check(home).one("unknown-member")["member"] == f"bridges[0].{'k' * 57}..."


# Overrides


def test_an_override_of_nothing(home: Home) -> None:
    home.package("storage")
    path = override(home, "storag.override.json", {"priorty": 5})
    found = check(home)
    finding = found.one("unused-override")
    assert (finding["file"], finding["suggestion"]) == (str(path), "storage.override.json")
    assert found.one("unknown-member")["file"] == str(path)


def test_more_overrides_of_nothing_than_are_compared_with_names(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are told of all the same."""
    monkeypatch.setattr(checks, "COMPARISONS", 1)
    system_package(home, "storage", {})
    for name in ("storag", "storagee"):
        override(home, f"{name}.override.json", {})
    found = check(home)
    assert [(each["kind"], each["suggestion"]) for each in found.findings] == [
        ("unused-override", "storage.override.json"),
        ("unused-override", ""),
    ]


def test_an_override_by_the_name_of_the_package(home: Home) -> None:
    """It is the directory that counts."""
    home.package("disks", name="storage")
    override(home, "storage.override.json", {})
    finding = check(home).one("unused-override")
    assert finding["suggestion"] == "disks.override.json"
    assert str(home.data_home / "cockpit/disks") in finding["message"]


@pytest.mark.parametrize("name", ["test-override.json", "test.overrides.json", "test.overide.json", "override.json"])
def test_a_file_that_is_taken_for_no_override(home: Home, name: str) -> None:
    home.package("test")
    override(home, name, {})
    assert check(home).one("unused-override")["file"].endswith(name)


def test_other_files_beside_overrides(home: Home) -> None:
    override(home, "cockpit.conf", "")
    override(home, "machines.json", "{}")
    assert check(home) == (0, [])


def test_what_is_wrong_in_an_override(home: Home) -> None:
    home.package("test", menu={"index": {"label": "A"}})
    patch = {"prioriy": 5, "name": None, "menu": {"idnex": None}, "bridges": [{"match": {}, "spawn": "x"}]}
    path = override(home, "test.override.json", patch)
    found = check(home)
    assert {each["file"] for each in found.findings} == {str(path)}
    assert [(each["kind"], each["member"], each["suggestion"]) for each in found.findings] == [
        ("unknown-member", "prioriy", "priority"),
        ("unused-override", "name", ""),
        ("unused-override", "menu.idnex", "index"),
        ("invalid", "bridges[0].spawn", ""),
    ]


def test_null_in_an_override_removes(home: Home) -> None:
    home.package("test", GOOD, priority=5, conditions=[], requires={"cockpit": "1"}, menu={"a": {"label": "A"}})
    override(
        home, "test.override.json", {"priority": None, "requires": {"cockpit": None}, "menu": {"a": {"label": None}}}
    )
    (home.data_home / "cockpit/test/override.json").write_text('{"conditions": null, "bridges": null}')
    assert check(home) == (0, [])


def test_a_list_in_an_override_takes_the_place_of_another(home: Home) -> None:
    home.package("test", GOOD, {"match": {"payload": "y"}, "spawn": CAT})
    override(home, "test.override.json", {"bridges": [{"match": {"payload": "z"}, "spawn": [*CAT[:1], "-u"]}]})
    finding = check(home).one("replaced")
    assert finding["member"] == "bridges"
    assert "all 2 entries" in finding["message"]


@pytest.mark.parametrize("bridges", [[], [GOOD], [{**GOOD, "environ": ["A=1"]}]])
def test_a_list_that_was_meant_to(home: Home, bridges: list[dict[str, Any]]) -> None:
    home.package("test", GOOD, {"match": {"payload": "y"}, "spawn": CAT})
    override(home, "test.override.json", {"bridges": bridges})
    assert check(home) == (0, [])


# Files that are not read


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("data-home/cockpit/manifest.json", "cockpit/NAME/manifest.json"),
        ("data-home/cockpit/a/b/manifest.json", "cockpit/b/manifest.json"),
        ("data-home/cockpit/a/Manifest.json", "manifest.json"),
        ("data-home/cockpit/a/manifest.jsn", "manifest.json"),
        ("config-home/test.override.json", "config-home/cockpit/test.override.json"),
        ("config-home/cockpit/test/override.json", "config-home/cockpit/test.override.json"),
    ],
)
def test_a_file_where_it_is_not_read(home: Home, path: str, meant: str) -> None:
    home.package("test")
    file = home.root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("{}")
    finding = check(home).one("misplaced")
    assert finding["file"] == str(file)
    assert finding["suggestion"].endswith(meant)


def test_other_files_in_packages(home: Home) -> None:
    package = home.package("test")
    for name in ("index.html", "manifest.json.gz", "manifest.js", "po.js"):
        (package / name).write_text("")
    inner = package / "dist"
    inner.mkdir()
    (inner / "manifest.json").write_text("{}")
    assert check(home) == (0, [])


def test_paths_that_are_ignored(home: Home) -> None:
    found = check(home, environ={"XDG_DATA_HOME": "share", "XDG_CONFIG_DIRS": "/etc/xdg:~/etc"})
    assert [(each["file"], each["kind"]) for each in found.findings] == [
        ("XDG_CONFIG_DIRS", "relative"),
        ("XDG_DATA_HOME", "relative"),
    ]


def test_it_says_where_it_looked(home: Home) -> None:
    done = run(home, "check")
    places = (home.data_home, home.data_dir, home.config_dir, home.config_home)
    assert done.stderr == f"looked in {', '.join(f'{place}/cockpit' for place in places)}\n0 files: no problems\n"
    assert "looked" not in run(home, "check", home.package("test")).stderr


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("#!/usr/bin/env no-such-python3", "its interpreter 'no-such-python3'"),
        ("#!/usr/bin/env sh -e", "its interpreter 'sh -e'"),
        ("#!/usr/bin/env -S A=1 sh -e", ""),
        ("#! /usr/bin/env  sh ", ""),
        ("\ufeff#!/bin/sh", "byte order mark"),
    ],
)
def test_a_first_line_that_leads_nowhere(home: Home, line: str, found: str) -> None:
    program = home.root / "program"
    program.write_text(f"{line}\n")
    program.chmod(0o755)
    home.package("test", {**GOOD, "spawn": [str(program)]})
    messages = [each["message"] for each in check(home).findings]
    assert len(messages) == bool(found)
    assert all(found in message for message in messages)


def test_rules_of_an_override_are_those_in_force(home: Home) -> None:
    """What they need of the machine is told of where they stand."""
    home.package("test", GOOD)
    path = override(home, "test.override.json", {"bridges": [{**GOOD, "spawn": ["no-such-program"]}]})
    assert check(home).one("command")["file"] == str(path)


def test_an_override_that_is_left_out(home: Home) -> None:
    """Its rules are not in force, and the manifest's are."""
    home.package("test", {**GOOD, "spawn": ["no-such-program"]})
    override(home, "test.override.json", {"priority": "x", "bridges": []})
    assert check(home).kinds == ["invalid", "command"]


# Packages that are not used


def test_a_package_of_which_there_are_two(home: Home) -> None:
    home.package("test")
    path = system_package(home, "test", {"bridges": [{**GOOD, "timout": 1, "spawn": ["no-such-program"]}]})
    found = check(home)
    assert found.kinds == ["not-used", "unknown-member"]
    assert {each["file"] for each in found.findings} == {str(path)}
    assert str(home.data_home / "cockpit/test") in found.one("not-used")["message"]


def test_a_package_for_other_machines(home: Home) -> None:
    """Its programs are not expected here."""
    home.package("test", {**GOOD, "spawn": ["no-such-program"]}, conditions=[{"path-exists": "/nonexistent"}])
    for arguments in ((), (home.data_home / "cockpit/test",)):
        found = check(home, *arguments)
        assert (found.status, found.kinds) == (0, ["not-used"])
        assert "/nonexistent" in found.findings[0]["message"]


# Arguments


def package(directory: Path, manifest: Any) -> Path:
    directory.mkdir(parents=True)
    path = directory / "manifest.json"
    path.write_text(json.dumps(manifest))
    return path


BAD = {"bridges": [{**GOOD, "timout": 5}]}


@pytest.mark.parametrize("argument", ["p", "p/", "p/manifest.json", ".", "./p/../p", "packages", "root"])
def test_what_can_be_named(home: Home, tmp_path: Path, argument: str) -> None:
    """A package, its manifest, a directory of packages, a data directory. Nothing that is installed is looked at."""
    home.package("installed", {"match": {}})
    package(tmp_path / "p", BAD)
    package(tmp_path / "packages/one", BAD)
    package(tmp_path / "root/cockpit/one", BAD)
    found = check(home, argument, cwd=tmp_path)
    assert found.kinds == ["unknown-member"]
    assert (tmp_path / found.findings[0]["file"]).samefile(
        tmp_path / {"packages": "packages/one", "root": "root/cockpit/one"}.get(argument, "p") / "manifest.json"
    )


def test_a_file_of_another_name(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "manifest.json.in"
    path.write_text(json.dumps(BAD))
    assert check(home, path).one("unknown-member")["file"] == str(path)


def test_what_is_named_is_taken_together(home: Home, tmp_path: Path) -> None:
    first = package(tmp_path / "a", {"bridges": [{"match": {}, "spawn": CAT}]})
    second = package(tmp_path / "b", {"bridges": [GOOD]})
    assert check(home, first).kinds == check(home, second).kinds == []
    assert check(home, first, second).kinds == ["unreachable"]
    assert check(home, first, first, tmp_path / "a").kinds == []


def test_an_override_by_itself(home: Home) -> None:
    """Over the package that is installed, of which nothing is said."""
    home.package("test", {**GOOD, "zzz": 1}, menu={"index": {}})
    path = override(home, "test.override.json", {"menu": {"idnex": None}})
    found = check(home, path)
    assert [(each["kind"], each["file"]) for each in found.findings] == [("unused-override", str(path))]


def test_an_override_of_a_package_that_is_elsewhere(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "far.override.json"
    path.write_text('{"bridges": [{"match": {}, "spwan": []}], "menu": null}')
    assert check(home, path).kinds == ["invalid", "unknown-member"]


def test_an_override_in_the_package(home: Home, tmp_path: Path) -> None:
    package(tmp_path / "p", {"bridges": [GOOD]})
    path = tmp_path / "p/override.json"
    path.write_text('{"bridges": 5}')
    assert check(home, path).one("invalid")["file"] == str(path)


def test_portable(home: Home, tmp_path: Path) -> None:
    """Nothing that another machine may have."""
    manifest = {
        "conditions": [{"path-exists": "/nonexistent"}],
        "bridges": [{**GOOD, "spawn": ["no-such"], "directory": "/no/such"}, privileged("no-such"), {"match": 5}],
    }
    path = package(tmp_path / "p", manifest)
    assert check(home, "--portable", path).kinds == ["invalid", "invalid"]


def test_ignored_kinds(home: Home) -> None:
    home.package("test", GOOD, {**GOOD, "zzz": 1})
    assert check(home).kinds == ["unreachable", "unknown-member"]
    assert check(home, "--ignore", "unreachable").kinds == ["unknown-member"]
    assert check(home, "--ignore=unreachable", "--ignore=unknown-member") == (0, [])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["/nonexistent"], "/nonexistent: No such file"),
        (["empty"], "no manifest.json"),
        (["--no-such-option"], "--no-such-option"),
        (["--ignore", "nonsense"], "unreachable"),
        (["--ignore"], "--ignore"),
        (["\x1b[31m"], "x1b"),
    ],
)
def test_what_cannot_be_run(home: Home, tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "empty").mkdir()
    done = run(home, "check", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_what_may_not_be_read(site: Site) -> None:
    """As an ordinary user: root may read everything."""
    path = site.home.package("p")
    (path / "manifest.json").chmod(0)
    named = [*site.user.prefix, str(site.installation.spanbridge), "check"]
    for argument, status in ((path, 1), (path / "manifest.json", 2)):
        done = subprocess.run(
            [*named, argument], env=site.home.environ, cwd="/", capture_output=True, text=True, check=False
        )
        assert done.returncode == status
        assert "Permission denied" in done.stdout + done.stderr


def test_bad_settings(home: Home) -> None:
    done = run(home, "check", environ={"SPANBRIDGE_MANIFEST_BYTES": "x"})
    assert (done.returncode, done.stdout) == (2, "")
    assert "SPANBRIDGE_MANIFEST_BYTES" in done.stderr


def test_help(home: Home) -> None:
    done = run(home, "check", "--help")
    assert done.returncode == 0
    assert "exit status" in done.stdout


# How it is told

LINE = re.compile(
    r"(?P<file>[^:]+):(?P<line>\d+):(?P<column>\d+): (error|warning|note): (?P<member>\S+): .+ \[[a-z-]+\]"
)


def test_lines_that_editors_understand(home: Home) -> None:
    home.write_manifest("test", json.dumps({"requirs": {}, "bridges": [GOOD, {"match": 5}]}, indent=1))
    done = run(home, "check")
    assert done.returncode == 1
    assert all(LINE.fullmatch(line) for line in done.stdout.splitlines())
    assert "did you mean requires?" in done.stdout
    assert done.stderr.endswith("\n1 file: 2 errors, 1 warning\n")


def test_a_word_where_nothing_is_wrong(home: Home) -> None:
    done = run(home, "check")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.endswith("\n0 files: no problems\n")


def test_quiet(home: Home) -> None:
    home.package("test", conditions=[{"path-exists": "/nonexistent"}])
    done = run(home, "check", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_colour_on_a_terminal_alone(home: Home) -> None:
    home.package("test", {"match": 5})
    assert "\33" not in run(home, "check").stdout
    assert "\33[31merror\33[0m" in on_a_terminal(home, {"TERM": "xterm"})
    assert "\33" not in on_a_terminal(home, {"TERM": "xterm", "NO_COLOR": "1"})
    assert "\33" not in on_a_terminal(home, {"TERM": "dumb"})


def on_a_terminal(home: Home, environ: dict[str, str]) -> str:
    """What check prints there."""
    master, slave = pty.openpty()
    with open(master, "rb", buffering=0) as terminal, open(slave, "wb") as stdout:
        done = subprocess.run(
            [SPANBRIDGE, "check", "-q"],
            stdout=stdout,
            env={**home.environ, **environ},
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 1
        return terminal.read(65536).decode()


def test_characters_that_a_terminal_would_act_on(home: Home) -> None:
    home.package("test", {"match": 5, "spawn": CAT, "\33[31m": 1, "environ": ["\33]0;x\7=1"]})
    override(home, "\33[2J\udcff.override.json", {})
    done = run(home, "check")
    assert done.returncode == 1
    assert not re.search(r"[\0-\x09\x0b-\x1f\x7f]", done.stdout + done.stderr)
    assert any("\udcff" in finding["file"] for finding in check(home).findings)


def test_utf_8_whatever_the_locale(home: Home) -> None:
    home.package("test", name="名前")
    done = run(home, "check", environ={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"})
    assert done.returncode == 1
    assert "名前" in done.stdout


# Debian's own


@pytest.mark.cockpit
def test_debian_is_clean(home: Home) -> None:
    """All of the installed packages: notes at most, such as of pkexec where there is only sudo."""
    if not (DEBIAN / "shell/manifest.json").exists():
        lack("missing: cockpit's pages", "cockpit-system")
    environ = {"XDG_DATA_DIRS": str(DEBIAN.parent)}
    assert check(home, environ=environ).status == 0
    assert check(home, DEBIAN).status == 0
    assert len(json.loads(run(home, "list", "--json", environ=environ).stdout)["packages"]) > 5


# docs/manifests.md, "Checking"


def blocks(kind: str) -> list[tuple[str, str]]:
    """Those of a kind, each with the one that follows it."""
    return [(BLOCKS[at].text, BLOCKS[at + 1].text) for at, block in enumerate(BLOCKS) if block.kind == kind]


@pytest.mark.parametrize(("manifest", "said"), blocks("json checked"))
def test_the_examples(home: Home, manifest: str, said: str) -> None:
    path = home.write_manifest("example", manifest) / "manifest.json"
    told = run(home, "check").stdout
    assert told.replace(str(path), "/usr/share/cockpit/example/manifest.json").splitlines() == said.splitlines()


def test_the_table_of_kinds() -> None:
    table = {row[0].strip("`"): tuple(row[1:]) for row in rows("Checking") if len(row) == 3 and row[0][0] == "`"}
    assert table == {name: tuple(kind) for name, kind in KINDS.items()}


def test_the_hooks(home: Home, tmp_path: Path) -> None:
    """The commands are run as they stand there, where the packages are kept."""
    ((yaml, script),) = [(yaml, script) for yaml, script in blocks("yaml")]
    files = re.search(r"^ +files: (.*)$", yaml, re.MULTILINE)
    entry = re.search(r"^ +entry: spanbridge (.*)$", yaml, re.MULTILINE)
    assert files
    assert entry
    assert f"exec spanbridge {entry[1]}" in script
    for name, wanted in (
        ("packages/x/manifest.json", True),
        ("manifest.json", True),
        ("packages/x/override.json", True),
        ("etc/x.override.json", True),
        ("package.json", False),
        ("x/manifest.json.in", False),
        ("x/my-manifest.json", False),
    ):
        assert bool(re.search(files[1], name)) == wanted
    package(tmp_path / "packages/good", {"bridges": [{**GOOD, "spawn": ["not-installed-here"]}]})
    assert run(home, *entry[1].split(), cwd=tmp_path).returncode == 0
    package(tmp_path / "packages/bad", BAD)
    done = run(home, *entry[1].split(), cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.startswith("packages/bad/manifest.json:1:")


# The parts

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "/", "x", "A=1", "${x}", "\0", "~"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["path-exists", "any", "x"]), inner, max_size=2)
    ),
    max_leaves=6,
)
ENTRY = st.dictionaries(st.sampled_from(sorted(KNOWN)), JSON, max_size=4) | JSON
MANIFEST = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(sorted(MEMBERS), JSON),
        "bridges": st.lists(ENTRY, max_size=3),
        "requires": st.dictionaries(st.sampled_from(["cockpit", "x"]), JSON, max_size=2) | JSON,
    },
)


@properties
@given(manifest=MANIFEST)
def test_all_that_the_loader_finds_is_found(tmp_path_factory: pytest.TempPathFactory, manifest: dict[str, Any]) -> None:
    """At the same places; check then finds more."""
    root = tmp_path_factory.mktemp("tree")
    path = root / "cockpit/test/manifest.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(manifest))
    environ = {"HOME": str(root), "XDG_DATA_DIRS": str(root), "XDG_CONFIG_DIRS": str(root)}
    catalog = load(environ, generation="300", askpass="/a")
    document = read_document(str(path), max_bytes=1 << 20, max_depth=64)
    found = list(of_source(Source(document, override=False), Libexecdir("/a", lambda: "/l"), "300"))
    places = {(each.line, each.column, each.member) for each in found if each.severity != "note"}
    assert {(each.line, each.column, each.member) for each in catalog.defects} <= places
    if not [each for each in found if each.kind == "invalid"]:
        assert not [each for each in catalog.hidden if each.reason.startswith("unusable")]


@properties
@given(manifest=MANIFEST, patch=MANIFEST, other=MANIFEST)
def test_whatever_the_files_say(
    tmp_path_factory: pytest.TempPathFactory, manifest: dict[str, Any], patch: dict[str, Any], other: dict[str, Any]
) -> None:
    """An answer, and the same one each time."""
    home = Home(tmp_path_factory.mktemp("home"))
    home.write_manifest("test", json.dumps(manifest))
    home.write_manifest("other", json.dumps(other))
    override(home, "test.override.json", patch)
    (home.data_home / "cockpit/other/override.json").write_text(json.dumps(patch))
    assert check(home) == check(home)
    assert check(home, "data-home").status in (0, 1)


def test_a_directory_that_is_gone(home: Home, tmp_path: Path) -> None:
    """The one that it is run in."""
    home.package("test", GOOD)
    for arguments, status in (("check", 0), ("check .", 2), ("list", 0)):
        gone = tmp_path / "gone"
        gone.mkdir()
        done = subprocess.run(
            ["/bin/sh", "-c", f'rmdir "$PWD"; exec "$0" {arguments}', SPANBRIDGE],
            cwd=gone,
            env=home.environ,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert (done.returncode, "Traceback" in done.stderr) == (status, False), done.stderr


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("require", "requires"),
        ("path_not_exists", ""),
        ("Bridges", "bridges"),
        ("condtions", "conditions"),
        ("prority", "priority"),
        ("nmae", "name"),
        ("x", ""),
        ("", ""),
        ("completely-different", ""),
        ("n" * 1000, ""),
    ],
)
def test_spelling(name: str, meant: str) -> None:
    assert nearest(name, MEMBERS - {"require"}) == meant
