"""What `spanbridge explain` takes, and how it tells (that it tells the truth: test_explain_decides.py)."""

import json
import os
import subprocess
import sys
from contextlib import chdir, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from spanbridge.manifests.match import mismatches
from spanbridge.manifests.model import Rule
from spanbridge.operator.explain import main
from spanbridge.operator.explaining.explain_text import quoted
from spanbridge.operator.explaining.hints import hint
from spanbridge.operator.members import ArgumentError, read_opens
from spanbridge.testing.bridge import SPANBRIDGE
from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import helper_rule, init, serve

from ..superuser.conftest import directory, installation, site
from ..superuser.site import Site
from .explaining import answer, explain, explained, require_ssh

__all__ = ["directory", "installation", "site"]

TRUE = ["/bin/true"]
GOOD = [init(), serve()]


def entry(match: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"match": match, "spawn": TRUE, **members}


# Arguments


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("a=text", "text"),
        ("a=", ""),
        ("a=5", 5),
        ("a=1.0", 1.0),
        ("a=007", "007"),
        ("a=true", True),
        ("a=True", "True"),
        ("a=null", None),
        ('a="5"', "5"),
        ("a=[1, 2]", [1, 2]),
        ('a={"b": null}', {"b": None}),
        ("a=x=y", "x=y"),
        ("a=NaN", "NaN"),
        ("a={", "{"),
        ("a:=5", 5),
        ("a= x ", " x "),
    ],
)
def test_a_value_is_json_where_it_can_be_read_as_such(argument: str, value: Any) -> None:
    read = read_opens([argument])[0].message["a"]
    assert read == value
    assert type(read) is type(value)


def test_dots_are_nothing_special() -> None:
    assert read_opens(["a.b[0].c-d=1"])[0].message["a.b[0].c-d"] == 1


@pytest.mark.parametrize(
    ("arguments", "opens"),
    [
        (["a=1", "b=2"], [{"a": 1, "b": 2}]),
        (["a=1", "and", "a=2"], [{"a": 1}, {"a": 2}]),
        (['{"a": 1}', '{"a": 2}'], [{"a": 1}, {"a": 2}]),
        (['{"a": 1, "b": 1}', "a=2", "and", "c=3"], [{"a": 2, "b": 1}, {"c": 3}]),
        (["a=1", ' {"b": 1}'], [{"a": 1}, {"b": 1}]),
        (["a=1", "a=2"], [{"a": 2}]),
        (["{}"], [{}]),
        (['{"channel": "x", "command": "open"}'], [{"channel": "x"}]),
    ],
)
def test_opens_from_arguments(arguments: list[str], opens: list[dict[str, Any]]) -> None:
    assert [each.message for each in read_opens(arguments)] == [
        {"command": "open", "channel": "1", **each} for each in opens
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "expected an open"),
        (["payload"], "payload: expected name=value"),
        (["=x"], "=x: expected name=value"),
        ([":=5"], ":=5: expected name=value"),
        (["[1]"], "expected name=value"),
        (["a:=x"], "a:=x: not JSON at character 1"),
        (['{"a": '], "not JSON at character"),
        (['{"a": ' + "[" * 500 + "]" * 500 + "}"], "[...: expected at most 500 levels of lists and objects"),
        (["a:=" + "[" * 501 + "]" * 501], "[...: expected at most 500 levels of lists and objects"),
        (['{\n "a" 1}'], "not JSON at line 2, character 6"),
        (['{"a": 1} x'], "expected nothing more"),
        (["and"], "expected an open before it"),
        (["a=1", "and"], "expected an open behind it"),
        (["a=1", "and", "and", "b=1"], "expected an open before it"),
        (["command=close"], 'command: found string "close"'),
        (["channel=5"], '"channel"'),
        (["channel="], '"channel"'),
        (["a=\udcff"], "expected UTF-8"),
        (['{"a": "\udcff"}'], "expected UTF-8"),
        (['{"a":' + "[" * 3000], "at most 500 levels"),
    ],
)
def test_arguments_that_are_no_opens(arguments: list[str], told: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        read_opens(arguments)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("payload",),
        ("--nonsense", "a=1"),
        ("--superuser", "maybe", "a=1"),
        ("--host=", "a=1"),
        ("--set", "helpers=none", "a=1"),
        ("--set", "nonsense=1", "a=1"),
        ("--pid", "x", "a=1"),
        ("--pid", "0", "a=1"),
        ("--js", "a=1"),
    ],
)
def test_wrong_arguments_exit_with_2(home: Home, arguments: tuple[str, ...]) -> None:
    done = explain(home, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(("spanbridge explain: ", "usage: spanbridge explain"))


def test_options_may_stand_anywhere(home: Home) -> None:
    home.package("test", entry({"a": 1}))
    expected = explain(home, "--json", "a=1", "b=2").stdout
    assert explain(home, "a=1", "--json", "b=2").stdout == explain(home, "a=1", "b=2", "--json").stdout == expected


ODD = ['"payload": "\\ud800"', '"paylo\\ud800d": 1', '"n": 1e400', '"\\ud800": ["\\ud801", 1e400]']


@pytest.mark.parametrize("said", ODD)
def test_an_open_as_browsers_write_it(home: Home, said: str) -> None:
    home.package("test", {"bridges": [entry({"payload": "test", "n": 5})]})
    done = explain(home, f"{{{said}}}")
    assert "Served by nobody" in done.stdout
    told = explain(home, "--json", f"{{{said}}}")
    assert json.loads(told.stdout)["opens"][0]["served"]["by"] == "nobody"
    assert "Raw" not in told.stdout


def test_an_open_nested_very_deeply_is_told_without_a_traceback(home: Home) -> None:
    home.package("test", entry({"a": [[1]]}), entry({"payload": "x"}))
    for depth in (50, 500, 900, 5000):
        done = explain(home, "payload=x", f"a={'[' * depth}{']' * depth}")
        assert done.returncode in (0, 2)


# Text


def lines_of(home: Home, *arguments: str, status: int = 0, environ: dict[str, str] | None = None) -> list[str]:
    """What it prints, run within this process: a start costs more than all that it does."""
    out = StringIO()
    with patch.dict(os.environ, environ or home.environ, clear=True), chdir(home.root), redirect_stdout(out):
        assert main(list(arguments)) == status
    return out.getvalue().splitlines()


def test_why_each_rule_does_not_match(home: Home) -> None:
    home.package(
        "test",
        entry({"payload": "logs", "unit": "web-*", "n": 1}),
        entry({"payload": "logs", "Unit": None}),
        entry({"payload": "other", "unit": "x"}),
        entry({"payload": "logs", "host": "*"}),
        entry({"payload": "logs"}),
        entry({}),
    )
    lines = lines_of(home, "payload=logs", "unit=db-1", "n=true")
    text = "\n".join(lines)
    assert 'unit: wanted "web-*", got "db-1"' in text
    assert "n: wanted 1, got true" in text
    assert "a number is neither true nor false" in text
    assert "Unit: wanted any value, got nothing" in text
    assert 'the open has "unit"' in text
    assert 'payload: wanted "other", got "logs"  (and 1 more)' in text
    assert 'host: wanted "*", and this open is for this host' in text
    (wins,) = [line for line in lines if "WINS" in line]
    assert "5" in wins
    assert "test/bridges[4]" in wins
    assert "manifest.json:1" in wins
    (following,) = [line for line in lines if " next " in line]
    assert "test/bridges[5]" in following
    assert "Served by test/bridges[4]" in lines


def test_why_the_wrong_rule_won(home: Home) -> None:
    home.package("b", entry({"payload": "x"}), entry({"payload": "*"}))
    home.package("a", entry({"payload": "x"}), priority=0)
    home.package("c", entry({"payload": "x"}))
    text = "\n".join(lines_of(home, "payload=x"))
    assert "behind b/bridges[0], which its manifest lists before it" in text
    assert "behind b/bridges[0]: packages of one priority, 1, go by name" in text
    assert "behind b/bridges[0], whose package has priority 1, this one 0" in text


def test_what_would_be_started(home: Home) -> None:
    spawn = ["/bin/sh", "-c", "echo $1", "--", "${tag}", "${gone}"]
    environ = ["TAG=${tag} x", "PATH=/bin", "LANG=C.UTF-8"]
    home.package("test", entry({"payload": "x"}, spawn=spawn, environ=environ, directory="/${dir}", timeout=2.5))
    own = {**home.environ, "COCKPIT_LOGIN_MESSAGES_MEMFD": "5"}
    text = "\n".join(lines_of(home, "payload=x", "tag=it's", "dir=tmp", environ=own))
    assert """  command     /bin/sh -c 'echo $1' -- 'it'"'"'s' ''""" in text
    assert """spawn[4] "${tag}" is "it's\"""" in text
    assert """spawn[5] "${gone}" is ""  the open has no gone""" in text
    assert """+ TAG='it'"'"'s x'""" in text
    assert "~ PATH=/bin\n" in text
    assert "was /usr/local/bin:/usr/bin:/bin" in text
    assert "+ SPANBRIDGE_DEPTH=1" in text
    assert "- COCKPIT_LOGIN_MESSAGES_MEMFD" in text
    assert "LANG" not in text
    assert "directory   /tmp\n" in text
    assert "until it has had no channel for 2.5 s" in text
    assert "shared      by opens that have the same tag, gone, dir" in text
    everything = "\n".join(lines_of(home, "payload=x", "--all", environ=own))
    assert "  LANG=C.UTF-8\n" in everything


def test_a_program_that_is_not_there_is_passed_over(home: Home) -> None:
    home.package("a", entry({"payload": "echo"}, spawn=["no-such-helper"]))
    text = "\n".join(lines_of(home, "payload=echo"))
    assert "FAILS" in text
    assert "cannot be started: no-such-helper: No such file or directory" in text
    assert "looked for in PATH=/usr/local/bin:/usr/bin:/bin" in text
    assert "Served by the bridge itself: payload echo, since no rule that matches can be started" in text
    home.package("b", entry({"payload": "echo"}))
    assert "Served by b/bridges[0], since a/bridges[0] cannot be started" in lines_of(home, "payload=echo")


def test_what_comes_of_a_failure(home: Home) -> None:
    home.package(
        "test",
        entry({"payload": "echo"}),
        entry({"payload": "echo"}),
        entry({"payload": "shut"}, problem="access-denied"),
        entry({"payload": "shut"}),
        entry({"payload": "lost"}),
    )
    assert [line.strip() for line in lines_of(home, "payload=echo")[-2:]] == [
        "on to test/bridges[1]; if that fails too:",
        "the bridge itself serves payload echo",
    ]
    shut = lines_of(home, "payload=shut")
    assert shut[-1].strip() == "the channel closes with access-denied"
    assert any(
        "not tried: nothing comes after test/bridges[2], whose problem closes the channel" in line for line in shut
    )
    assert lines_of(home, "payload=lost")[-1].strip() == "the channel closes with not-supported"


def test_numbers_are_as_the_open_has_them(home: Home) -> None:
    """As a bridge fills them in, and as `open` sends them."""
    home.package("test", {"match": {"payload": "n"}, "spawn": [*TRUE, "${a}", "${b}", "${c}", "${d}"]})
    written = ("1.0e2", "-0", "0.10", "1e400")
    members = [f"{name}={text}" for name, text in zip("abcd", written, strict=True)]
    said = '{"payload":"n",' + ",".join(f'"{name}":{text}' for name, text in zip("abcd", written, strict=True)) + "}"
    for arguments in (("payload=n", *members), (said,)):
        told = json.loads(explain(home, "--json", *arguments).stdout)["opens"][0]
        assert told["attempts"][0]["argv"][-4:] == [*written]
        assert " ".join(written) in explain(home, *arguments).stdout
        assert '"d": 1e400}' in explain(home, *arguments).stdout
        assert b'"a":1.0e2' in read_opens([*arguments])[0].payload


def test_nobody(home: Home) -> None:
    home.package("test", entry({"payload": "flow", "unit": "x", "n": 1}), entry({"payload": "journal"}))
    text = "\n".join(lines_of(home, "payload=flow", "unit=x", status=1))
    assert "Served by nobody: the channel closes with not-supported" in text
    assert "the closest rule is test/bridges[0], all of which matches but n" in text
    assert "there is a payload 'journal'" in "\n".join(lines_of(home, "payload=jornal", status=1))
    assert "there is a payload 'dbus-json3'" in "\n".join(lines_of(home, "payload=dbus-json", status=1))
    assert "There are no rules." in "\n".join(lines_of(Home(home.root / "other"), "payload=x", status=1))


def test_home_is_not_shortened_where_no_shell_would_take_it_for_that(home: Home) -> None:
    home.package("unmet", entry({"payload": "x"}), conditions=[{"path-exists": "/home/x/no"}])
    at_home = explain(home, "payload=x").stdout
    assert f"  ~/{(home.data_home / 'cockpit/unmet').relative_to(home.root)}: " in at_home
    elsewhere = explain(home, "payload=x", environ={**home.environ, "HOME": "/home/x"}).stdout
    assert 'path-exists "/home/x/no"' in elsewhere


def test_a_rule_that_refuses(home: Home) -> None:
    home.package("test", entry({"payload": "x"}), {"match": {"payload": "*"}, "problem": "access-denied"}, entry({}))
    home.package("zero", {"match": {"host": "z"}, "problem": ""})
    assert "closes with an empty problem" in "\n".join(lines_of(home, "payload=y", "host=z", status=1))
    text = "\n".join(lines_of(home, "payload=y", status=1))
    assert "refuses what it matches: the channel closes with access-denied" in text
    assert "not tried: test/bridges[1] refuses what it matches" in text
    assert "Served by nobody: the channel closes with access-denied" in text
    assert "closest" not in text
    assert "the channel closes with access-denied" in "\n".join(lines_of(home, "payload=x"))


def test_a_rule_that_is_missing_is_named_with_what_is_wrong(home: Home) -> None:
    home.package("broken", {"match": {"payload": "x"}, "spawn": "x"})
    home.package("unmet", entry({"payload": "x"}), conditions=[{"path-exists": "/nonexistent"}])
    done = explain(home, "payload=x")
    assert "Left out for a mistake (see spanbridge check)" in done.stdout
    assert "bridges[0].spawn" in done.stdout
    assert "Packages not in use (see spanbridge list)" in done.stdout
    assert "/nonexistent" in done.stdout


def test_of_very_many_rules_those_that_nearly_match_are_named(home: Home) -> None:
    rules = [entry({"payload": f"p{at}", "tag": None}) for at in range(3000)]
    home.package("test", *rules, *[entry({"tag": None}) for _ in range(30)])
    lines = lines_of(home, "payload=p77", "tag=x")
    assert sum("WINS" in line for line in lines) == 1
    assert "test/bridges[77]" in "\n".join(lines)
    lines = lines_of(home, "payload=q", "tag=x")
    assert len(lines) < 70
    assert any("2996 more do not match" in line for line in lines)
    assert any("25 more match" in line for line in lines)
    lines = lines_of(home, "payload=q", "tag=x", "--all")
    assert sum(" no " in line for line in lines) == 3000


def test_strange_text_stays_on_its_line(home: Home) -> None:
    strange = "a\n\x1b[31m\tb\u202e"
    home.package("test", entry({"payload": strange}, spawn=["/bin/true", "${payload}"]), entry({"payload": None}))
    for payload in (strange, "x" + strange):
        done = explain(home, json.dumps({"payload": payload}))
        assert "\x1b" not in done.stdout
        assert "\u202e" not in done.stdout


@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}])
def test_colour_is_for_terminals(home: Home, variables: dict[str, str]) -> None:
    home.package("test", entry({"payload": "x"}))
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        environ = {**home.environ, "TERM": "xterm", **variables}
        command = [str(SPANBRIDGE), "explain", "payload=x"]
        subprocess.run(command, stdout=theirs, env=environ, check=True, cwd=home.root)
        os.close(theirs)
        assert (b"\x1b[32m" in terminal.read(65_536)) == (not variables)


# Hosts, privileges, reuse


def test_hosts(home: Home) -> None:
    require_ssh()
    home.package("test", entry({"payload": "x"}), entry({"host": "far"}, spawn=["/bin/true", "${host-user}"]))
    assert any("is this host: it is matched without" in line for line in lines_of(home, "payload=x", "host=localhost"))
    assert "Served by test/bridges[0]" in lines_of(home, "payload=x", "host=me", "--host=me")
    far = "\n".join(lines_of(home, "payload=x", "host=far+user+root"))
    assert '"far+user+root" becomes {"host-user": "root", "host": "far"}' in far
    assert 'host: "far" is another host, and the match does not name host' in far
    assert "/bin/true root" in far
    assert 'Served by a bridge on "else", over ssh' in "\n".join(lines_of(home, "payload=x", "host=else"))
    assert "closes with no-host" in "\n".join(lines_of(home, "payload=x", "host=else", "--set=hosts=0", status=1))
    assert "closes with protocol-error" in "\n".join(lines_of(home, "payload=x", "host=5", status=1))


def test_privileges(home: Home) -> None:
    require_ssh()
    gone = {"privileged": True, "spawn": ["no-such-sudo"], "label": "gone"}
    home.package("test", entry({"payload": "x"}), {"privileged": True, "spawn": TRUE, "label": "one"}, gone)
    ask = ("payload=x", "superuser=require")
    none = "\n".join(lines_of(home, *ask, "--superuser=none", status=1))
    assert "closes with access-denied" in none
    assert "offered: one" in none
    assert "not offered: test/bridges[2]: no-such-sudo is not found, or may not be run" in none
    assert "Served by the privileged bridge" in "\n".join(lines_of(home, *ask, "--superuser=running"))
    assert "nothing to gain" in "\n".join(lines_of(home, *ask, "--superuser=root"))
    tries = "\n".join(lines_of(home, "payload=x", "superuser=try", "--superuser=none"))
    assert "as if it had not asked" in tries
    assert "Served by test/bridges[0]" in tries
    wrong = "\n".join(lines_of(home, "payload=x", "superuser=please", "--superuser=none", status=1))
    assert "closes with protocol-error" in wrong
    far = "\n".join(lines_of(home, *ask, "host=far", "--superuser=none"))
    assert "goes to the other host as it is" in far


@pytest.mark.parametrize("running", [False, True])
def test_privileges_are_as_the_bridge_has_them(site: Site, running: bool) -> None:
    """That of an ordinary user, which is who asks here too."""
    ordinary = site.helper({"payload": "x"}, GOOD)
    bridge, _, superuser = site.superuser(ordinary, site.privileged(GOOD, "one"), limits={"hosts": 0})
    if running:
        superuser.call("Start", "one")
    values: list[Any] = [None, False, True, "require", "try", "x", 0, 1, "", [], {}]
    opens = [{"channel": f"c{at}", "payload": "x", "superuser": value} for at, value in enumerate(values)]
    opens += [{"channel": f"e{at}", "payload": "echo", "superuser": value} for at, value in enumerate(values)]
    opens += [
        {"channel": f"h{at}", "payload": "x", "host": "-h", "superuser": value} for at, value in enumerate(values)
    ]
    prefix = (*site.user.prefix, str(site.installation.spanbridge))
    done = explain(
        site.home,
        "--json",
        *(["--superuser=running"] if running else []),
        *map(json.dumps, opens),
        prefix=prefix,
        environ=bridge.environ,
    )
    for message, told in zip(opens, json.loads(done.stdout)["opens"], strict=True):
        served = told["served"]
        said = answer(bridge, message)
        assert (served["problem"], served["message"]) == (said.get("problem", ""), said.get("message", "")), message
        if served["by"] == "rule":
            assert said["environ"]["SPANBRIDGE_RULE"] == served["rule"]
        elif served["by"] == "privileged":
            assert said["environ"]["SPANBRIDGE_RULE"] == "test/bridges[1]"


def test_reuse(home: Home) -> None:
    spawn = ["/bin/true", "${tag}"]
    rule = entry({"payload": "x"}, spawn=spawn, environ=["A=${a}"], directory="${dir}")
    home.package("test", rule, entry({"payload": "y"}))
    same = lines_of(home, "payload=x", "tag=a", "group=g", "and", "payload=x", "tag=a", "session=private")
    assert same[-1] == "Opens 1 and 2: the same helper"
    other = "\n".join(lines_of(home, "payload=x", "tag=a", "and", "payload=x", "tag=b", "a=1", "dir=/tmp"))
    assert "not the same helper: they expand differently" in other
    assert '  spawn[1]    1: "a"\n              2: "b"' in other
    assert '  environ[0]  1: "A="\n              2: "A=1"' in other
    assert '  directory   1: the bridge\'s own\n              2: "/tmp"' in other
    assert other.endswith("they differ in tag, a, dir, which the rule fills in")
    for one, two in (("1.0", "1.00"), ("-0", "0"), ("1e400", "2e400"), ("5", '"6"')):
        spelt = lines_of(home, "payload=x", f"tag={one}", "a=1", "and", "payload=x", f"tag={two}", "a=1.0")
        assert spelt[-1].strip() == "they differ in tag, a, which the rule fills in"
    rules = lines_of(home, "payload=x", "and", "payload=y")
    assert rules[-1].endswith("not the same helper: test/bridges[0] and test/bridges[1] are two rules")
    third = lines_of(home, "payload=y", "and", "payload=y", "and", "payload=echo")
    assert [line.partition(":")[0] for line in third[-3:]] == ["Opens 1 and 2", "Opens 1 and 3", "Opens 2 and 3"]
    assert third[-1].endswith("is served by the bridge itself")
    no = lines_of(home, "payload=no", "and", "payload=y", status=1)
    assert "open 1 is served by nobody" in no[-1]


# The bridge that is asked about


def test_a_running_bridge_is_asked_about_by_its_pid(start: Start, home: Home) -> None:
    """It has another environment than whoever asks."""
    bridge = start(helper_rule({"payload": "x"}, GOOD), environ={"ONLY": "there"})
    elsewhere = Home(home.root / "elsewhere")
    assert explained(elsewhere, {"payload": "x"})["opens"][0]["served"]["by"] == "nobody"
    done = explain(elsewhere, "--json", "--pid", str(bridge.pid), '{"payload": "x"}')
    (told,) = json.loads(done.stdout)["opens"]
    assert told["served"]["rule"] == "test/bridges[0]"
    environ = {each["name"]: each["value"] for each in told["attempts"][0]["environ"]}
    assert environ["ONLY"] == "there"
    assert told["attempts"][0]["directory"] == str(home.root)
    ready = answer(bridge, {"channel": "a", "payload": "x"})
    assert ready["environ"] == environ


def test_whose_directory_it_is(start: Start, home: Home) -> None:
    bridge = start(helper_rule({"payload": "x"}, GOOD))
    bridge.front_end.sync()
    theirs, ours = (explain(home, *asked, "payload=x").stdout for asked in (["--pid", str(bridge.pid)], []))
    assert f"  directory   {home.root} (the bridge's own)\n" in theirs
    assert f"  directory   {home.root} (this shell's: a bridge has its own, see --pid)\n" in ours


def test_a_process_that_cannot_be_asked_about(home: Home) -> None:
    done = explain(home, "--pid", str(2**22 + 1), "payload=x")
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2,
        f"spanbridge explain: --pid {2**22 + 1}: no such process",
    )


def test_limits_are_those_of_the_bridge(home: Home) -> None:
    home.package("test", entry({"payload": "x"}))
    assert "within 5 s" in explain(home, "payload=x", "--set", "handshake_seconds=5").stdout
    assert (
        "within 7 s" in explain(home, "payload=x", environ={**home.environ, "SPANBRIDGE_HANDSHAKE_SECONDS": "7"}).stdout
    )
    assert explain(home, "payload=x", "--set=manifest_bytes=10").returncode == 1


def test_without_a_working_directory(home: Home, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    code = f"import os; os.mkdir({str(gone)!r}); os.chdir({str(gone)!r}); os.rmdir({str(gone)!r});"
    code += f"os.execv({str(SPANBRIDGE)!r}, ['spanbridge', 'explain', 'a=1'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=home.environ, check=False)
    assert done.returncode == 2
    assert "spanbridge explain: the working directory: " in done.stderr


# Hints


@pytest.mark.parametrize(
    ("wanted", "got", "told"),
    [
        ("5", 5, "wants text"),
        ("true", True, "wants text"),
        ("x*", 5, "a wildcard takes text alone"),
        ("x", None, ""),
        ("Web", "web", "upper and lower case"),
        ("WEB-*", "web-1", "upper and lower case"),
        ("web ", "web", "space at an end"),
        ("web", "web-1", '"web*" would take it'),
        ("web", "db", ""),
        (5, "5", "the open has text"),
        (True, "true", "the open has text"),
        (1, True, "neither true nor false"),
        (["a", "b"], "a", ""),
        (["a"], "a", "not a choice"),
        (["a*"], ["ab"], "no wildcards within"),
        ({"a": "*"}, {"a": "b"}, "no wildcards within"),
        ({"a": 1}, {"a": 2}, ""),
    ],
)
def test_hints_about_a_value(wanted: Any, got: Any, told: str) -> None:
    (found,) = mismatches(Rule("test", 0, "", {"m": wanted}, ("true",)), {"m": got})
    text = hint(found, {"m": got})
    assert told in text
    assert bool(told) == bool(text)


@pytest.mark.parametrize(
    ("member", "has", "told"),
    [
        ("tag", "Tag", '"Tag"'),
        ("time_out", "time-out", '"time-out"'),
        ("unit", "units", '"units"'),
        ("paylod", "payload", '"payload"'),
        ("user", "superuser", ""),
        ("a", "zzz", ""),
    ],
)
def test_hints_about_a_name(member: str, has: str, told: str) -> None:
    (found,) = mismatches(Rule("test", 0, "", {member: None}, ("true",)), {has: 1})
    text = hint(found, {"command": "open", "channel": "1", has: 1})
    assert told in text
    assert bool(told) == bool(text)


# Text of all kinds


@pytest.mark.parametrize("text", ["a b", "it's", "a\nb", "\x1b[31m'\\", "\udcff\u202ex", "$HOME `id`", "", "żółć", "~"])
def test_what_is_quoted_is_the_same_for_a_shell(text: str) -> None:
    word = quoted(text)
    assert word.isprintable()
    done = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True)
    assert done.stdout == os.fsencode(text)


def test_an_environment_and_a_locale_of_other_encodings(home: Home) -> None:
    home.package("test", entry({"payload": "x"}, spawn=["/bin/true", "${tag}"]))
    environ = {**home.environ, "ODD": "\udcff", "PYTHONIOENCODING": "ascii"}
    done = explain(home, "payload=x", "tag=żółć", "--all", environ=environ)
    assert done.returncode == 0
    assert "ODD=$'\\xff'" in done.stdout
    (told,) = explained(home, {"payload": "x", "tag": "żółć"}, environ=environ)["opens"]
    assert {each["name"]: each["value"] for each in told["attempts"][0]["environ"]}["ODD"] == "\\xff"
    assert told["attempts"][0]["argv"] == ["/bin/true", "żółć"]


def test_whoever_reads_may_go(home: Home) -> None:
    home.package("test", *[entry({"payload": "x"}) for _ in range(5000)])
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {SPANBRIDGE} explain --all payload=x | head -n 1"],
        capture_output=True,
        text=True,
        env=home.environ,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, 'Open  {"payload": "x"}\n', "")
