"""`spanbridge explain` says what a bridge does: the same rule, command, environment, directory, process, problem."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from spanbridge.limits import Limits
from spanbridge.manifests.match import RuleIndex
from spanbridge.manifests.model import Catalog, Package, Rule
from spanbridge.operator.explaining.explainer import Explainer
from spanbridge.operator.explaining.explanation import NOBODY, ROOT, RULE, Bridge
from spanbridge.operator.explaining.reuse import compare
from spanbridge.protocol.problems import Problem
from spanbridge.session.router import normalise
from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import Rule as Entry
from spanbridge.testing.script import exit_with, helper_rule, init, serve

from ..protocol.determined import examples
from .explaining import answer, explained

GOOD = [init(), serve()]
OWN = "localhost"

names = st.sampled_from(["payload", "host", "user", "tag", "group", "session"])
words = st.sampled_from(["", "a", "ab", "b", "echo", "null"])
values = st.one_of(words, st.booleans(), st.integers(0, 2), st.none(), st.lists(words, max_size=1))
patterns = st.one_of(values, st.sampled_from(["*", "a*", "?", "*b", "e*o"]))
matches = st.dictionaries(names, patterns, max_size=3)
opens = st.dictionaries(names, st.one_of(values, st.sampled_from([OWN, "other", "a+key+value", "h+k"])), max_size=5)


def bridge_with(rules: list[Rule]) -> Bridge:
    package = Package("test", "test", "/", 1.0, {}, tuple(rules), False, ())
    catalog = Catalog(packages=(package,), rules=tuple(rules))
    return Bridge(catalog, {"PATH": "/usr/bin:/bin"}, "/", 0, OWN, ROOT, Limits())


@examples(300)
@given(st.lists(matches, max_size=12), opens)
def test_the_winner_is_what_the_index_finds(wanted: list[dict[str, Any]], message: dict[str, Any]) -> None:
    rules = [Rule("test", at, "", match, ("true",)) for at, match in enumerate(wanted)]
    told, key, _ = Explainer(bridge_with(rules)).explain({"command": "open", "channel": "1", **message})
    matched = normalised({"command": "open", "channel": "1", **message})
    if matched is None:
        assert (told.winner, told.served.problem) == (None, "protocol-error")
        return
    index = RuleIndex(rules)
    found = index.find(matched)
    assert told.winner == (None if found < 0 else found + 1)
    assert told.matched == matched
    taking = list(index.candidates(matched))
    assert [look.position - 1 for look in told.rules if look.matches] == [rule.position for rule in taking]
    assert [attempt.position - 1 for attempt in told.attempts] == [rule.position for rule in taking]
    assert (key is not None) == (told.served.by == RULE) == (found >= 0)
    if found >= 0:
        assert told.served.rule == rules[found].name


@examples(100)
@given(st.lists(matches, max_size=5), st.lists(opens, min_size=2, max_size=2))
def test_opens_share_a_helper_if_their_keys_are_one(wanted: list[dict[str, Any]], two: list[dict[str, Any]]) -> None:
    rules = [Rule("test", at, "", match, ("true", "${tag}"), ("U=${user}",)) for at, match in enumerate(wanted)]
    explainer = Explainer(bridge_with(rules))
    one, other = [explainer.explain({"command": "open", "channel": "1", **message}) for message in two]
    told = compare(1, 2, one, other)
    assert told.same == (one.key is not None and one.key == other.key)
    assert told.same or told.why
    if told.differences:
        assert set(told.variables) <= {"tag", "user"}
        assert told.variables


def normalised(message: dict[str, Any]) -> dict[str, Any] | None:
    try:
        return normalise(message, OWN)[0]
    except Problem:
        return None


def rules_that_fail(root: Path) -> list[Entry]:
    """Rules whose programs cannot be started, each for a reason of its own."""
    (root / "plain").write_text("not a program")
    (root / "lost").write_text("#!/nonexistent/python3 -x\n")
    (root / "dos").write_bytes(b"#!/bin/sh\r\nexit 0\r\n")
    (root / "through").write_text(f"#!{root}/lost\n")
    (root / "loop").symlink_to("loop")
    for name in ("lost", "dos", "through"):
        (root / name).chmod(0o755)
    (root / "two").mkdir()
    (root / "two" / "plain").symlink_to(root / "plain")
    true = ["/bin/true"]
    commands: dict[str, dict[str, Any]] = {
        "no such file": {"spawn": [f"{root}/nowhere"]},
        "no such program": {"spawn": ["no-such-program"]},
        "not executable": {"spawn": [f"{root}/plain"]},
        "not executable, in PATH": {"spawn": ["plain"], "environ": [f"PATH=/bin:{root}/two:/usr/bin"]},
        "a directory": {"spawn": [str(root)]},
        "below a file": {"spawn": [f"{root}/plain/x"]},
        "a loop": {"spawn": [f"{root}/loop"]},
        "no interpreter there": {"spawn": [f"{root}/lost"]},
        "no interpreter of the interpreter": {"spawn": [f"{root}/through"]},
        "a carriage return": {"spawn": [f"{root}/dos"]},
        "no directory": {"spawn": true, "directory": f"{root}/nowhere"},
        "a file as directory": {"spawn": true, "directory": f"{root}/plain"},
        "no relative directory": {"spawn": true, "directory": "nowhere"},
        "no relative program": {"spawn": ["./plain"], "directory": "two"},
        "nothing in PATH": {"spawn": ["true"], "environ": ["PATH=/nonexistent"]},
        "an empty PATH": {"spawn": ["true"], "environ": ["PATH="]},
        "a long argument": {"spawn": ["/bin/true", "${long}${long}"]},
        "a long name": {"spawn": ["/" + "x" * 300]},
    }
    return [
        {"match": {"payload": payload}, "problem": "went-wrong", **members} for payload, members in commands.items()
    ]


def test_a_program_that_cannot_be_started_is_told_in_the_words_of_the_bridge(start: Start, home: Home) -> None:
    rules = rules_that_fail(home.root)
    bridge = start(*rules)
    opens: list[dict[str, Any]] = [
        {"channel": str(at), "payload": rule["match"]["payload"]} for at, rule in enumerate(rules)
    ]
    for message in opens:
        if message["payload"] == "a long argument":
            message["long"] = "x" * 70_000
    for message, told in zip(opens, explained(home, *opens)["opens"], strict=True):
        compare_close(answer(bridge, message), told, str(message["payload"]))


def compare_close(said: Mapping[str, Any], told: dict[str, Any], name: str) -> None:
    assert said["command"] == "close", name
    served = told["served"]
    assert (served["by"], served["problem"], served["message"]) == (NOBODY, said["problem"], said["message"]), name


def test_what_can_be_started_is(start: Start, home: Home) -> None:
    """From directories and through PATHs of many kinds."""
    (home.root / "in here").mkdir()
    rule = helper_rule({"payload": "x"}, GOOD)
    python = rule["spawn"][0]
    (home.root / "in here" / "python").symlink_to(python)
    (home.root / "script").write_text(f"#! \t/bin/sh  -e\nexec {shlex.join(rule['spawn'])}\n")
    (home.root / "without").write_text(f"exec {shlex.join(rule['spawn'])}\n")
    (home.root / "bare").write_text(f"#!\nexec {shlex.join(rule['spawn'])}\n")
    for name in ("script", "without", "bare"):
        (home.root / name).chmod(0o755)
    rest = rule["spawn"][1:]
    ways: list[dict[str, Any]] = [
        {"spawn": ["python", *rest], "environ": [f"PATH=/nonexistent:{home.root}/in here"]},
        {"spawn": ["python", *rest], "environ": ["PATH=in here"]},
        {"spawn": ["python", *rest], "environ": ["PATH="], "directory": "${where}"},
        {"spawn": ["./python", *rest], "directory": "in here"},
        {"spawn": ["in here/python", *rest]},
        {"spawn": ["../script"], "directory": "in here"},
        {"spawn": [str(home.root / "without")]},
        {"spawn": [str(home.root / "bare")]},
        {"spawn": [str(home.root / "script")]},
    ]
    bridge = start(*({"match": {"payload": f"way {at}"}, "problem": "no", **way} for at, way in enumerate(ways)))
    opens = [{"channel": str(at), "payload": f"way {at}", "where": "in here"} for at in range(len(ways))]
    for message, told in zip(opens, explained(home, *opens)["opens"], strict=True):
        served = told["served"]["by"] == RULE
        said = answer(bridge, message)
        assert served == (said["command"] == "ready"), (message, said, told["served"])


def table(root: Path) -> list[Entry]:
    """Rules that meet one another in all ways."""
    return [
        helper_rule({"payload": "tagged"}, GOOD, "${tag}", "<${missing}>", environ=["T=${tag}", "PATH=/bin:/usr/bin"]),
        helper_rule({"payload": "tag*", "tag": None}, GOOD, environ=["FIRST=1", "FIRST=2"], directory="${where}"),
        {"match": {"payload": "next"}, "spawn": ["/nonexistent/${tag}"]},
        {"match": {"payload": "next"}, "spawn": ["/nonexistent/2"], "directory": str(root)},
        helper_rule({"payload": "next", "tag": "third"}, GOOD, "third", timeout=30),
        {"match": {"payload": "last"}, "spawn": ["/nonexistent/last"]},
        {"match": {"payload": "last", "tag": "x"}, "spawn": ["/nonexistent/x"], "problem": "access-denied"},
        helper_rule({"payload": "last"}, GOOD, "behind"),
        {"match": {"payload": "echo", "broken": True}, "spawn": ["/nonexistent/echo"]},
        {"match": {"payload": "nobody"}, "spawn": ["/nonexistent/nobody"]},
        helper_rule({"host": "*.example.org"}, GOOD, "${host}", "${host-key}", problem="no-host"),
        {"match": {"host": "far"}, "spawn": ["/nonexistent/ssh"]},
        helper_rule({"superuser": None, "payload": "own"}, GOOD, "${superuser}"),
        helper_rule({"channel": "by channel", "command": "open"}, GOOD, "${channel}"),
        helper_rule({"n": 1}, GOOD, "${n}"),
        helper_rule({"n": True}, GOOD, "${n}"),
        helper_rule({"list": ["a", 1]}, GOOD, environ=["NAME_${name}=x"]),
    ]


OPENS: list[dict[str, Any]] = [
    {"payload": "tagged", "tag": "a b"},
    {"payload": "tagged", "tag": "a b", "group": "g", "session": "private"},
    {"payload": "tagged", "tag": 5},
    {"payload": "tagged", "tag": "5"},
    {"payload": "tagged", "tag": None},
    {"payload": "tagged"},
    {"payload": "tagged", "tag": ["list"]},
    {"payload": "tagged", "tag": "a\0b"},
    {"payload": "tags", "tag": False},
    {"payload": "tags", "tag": False, "where": "/"},
    {"payload": "tags", "tag": False, "where": "/nonexistent"},
    {"payload": "tags", "tag": False, "where": "data-home"},
    {"payload": "tags"},
    {"payload": "next", "tag": "third"},
    {"payload": "next", "tag": "fourth"},
    {"payload": "next", "tag": {}},
    {"payload": "last"},
    {"payload": "last", "tag": "x"},
    {"payload": "echo"},
    {"payload": "echo", "broken": True},
    {"payload": "echo", "broken": 1},
    {"payload": "null"},
    {"payload": "info"},
    {"payload": "nobody"},
    {"payload": "unheard of"},
    {"payload": 5},
    {},
    {"payload": "echo", "host": OWN},
    {"payload": "echo", "host": "other"},
    {"payload": "echo", "host": "far"},
    {"payload": "tagged", "host": f"{OWN}+key+value"},
    {"payload": "x", "host": "www.example.org"},
    {"payload": "x", "host": "www.example.org+key+a+b"},
    {"payload": "x", "host": "www.example.org+key+a", "host-key": "mine", "superuser": "require"},
    {"payload": "echo", "host": ""},
    {"payload": "echo", "host": 5},
    {"payload": "echo", "host": "+a+b"},
    {"payload": "own", "superuser": "require"},
    {"payload": "own", "superuser": "nonsense"},
    {"payload": "x", "channel": "by channel"},
    {"n": 1.0},
    {"n": True},
    {"n": 1e300},
    {"list": ["a", 1.0], "name": "x"},
    {"list": ["a", 1.0], "name": "not-one"},
    {"list": ["a", 1.0]},
    {"payload": "http-stream1"},
    {"payload": "http-stream1", "internal": "packages"},
    {"payload": "http-stream2", "internal": "packages", "method": "GET", "path": "/x", "headers": {"A": 1}},
    {"payload": "http-stream2", "internal": "packages", "method": "GET", "path": 5},
    {"payload": "http-stream1", "internal": "packages", "method": "GET", "path": "/manifests.json"},
    {"payload": "dbus-json3", "bus": "internal"},
    {"payload": "dbus-json3", "bus": "internal", "name": "x"},
    {"payload": "dbus-json3", "bus": "none", "address": "x"},
    {"payload": "dbus-json3", "bus": "session", "address": "unix:path=/x"},
    {"payload": "dbus-json3", "bus": "none", "address": "tcp:host=x"},
    {"payload": "dbus-json3", "bus": "elsewhere"},
    {"payload": "session-control"},
]


def test_a_bridge_does_what_explain_says(start: Start, home: Home) -> None:
    bridge = start(*table(home.root), limits={"start_failures": 1000, "hosts": 0})
    opens = []
    for at, message in enumerate(OPENS):
        opens.append({"channel": f"c{at}", **message})
        if "channel" not in message:  # the bridge has a short way for an open like the last one
            opens.append({"channel": f"d{at}", **message})
    report = explained(home, *opens, environ=bridge.environ)
    pids: list[int] = []
    for message, told in zip(opens, report["opens"], strict=True):
        said = answer(bridge, message)
        served = told["served"]
        if served["by"] == NOBODY:
            compare_close(said, told, str(message))
            pids.append(0)
        elif served["by"] == RULE:
            attempt = next(each for each in told["attempts"] if each["rule"] == served["rule"])
            assert said["environ"]["SPANBRIDGE_RULE"] == served["rule"], message
            assert said["argv"] == attempt["argv"][5:], message
            assert said["environ"] == environ_of(attempt), message
            assert said["cwd"] == os.path.realpath(attempt["directory"]), message
            assert said["open"] == {"command": "open", **told["forwarded"]}, message
            pids.append(said["pid"])
        else:
            assert said["command"] in ("ready", "response"), message
            assert "pid" not in said, message
            pids.append(0)
    for told in report["reuse"]:
        one, other = pids[told["first"] - 1], pids[told["second"] - 1]
        assert told["same"] == (one == other != 0), told
    assert {each["served"]["by"] for each in report["opens"]} == {"rule", "internal", "nobody"}


def environ_of(attempt: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in attempt["environ"] if each["kind"] != "removed"}


def test_a_start_that_fails_goes_where_explain_says(start: Start, home: Home) -> None:
    """What cannot be seen beforehand: the helper starts, and exits."""
    failing = [exit_with(3)]
    rules = [
        helper_rule({"payload": "on"}, failing),
        helper_rule({"payload": "on"}, GOOD, "second"),
        helper_rule({"payload": "shut"}, failing, problem="access-denied"),
        helper_rule({"payload": "shut"}, GOOD, "never"),
        helper_rule({"payload": "echo"}, failing),
        helper_rule({"payload": "lost"}, failing),
    ]
    bridge = start(*rules)
    opens = [{"channel": payload, "payload": payload} for payload in ("on", "shut", "echo", "lost")]
    told = {each["open"]["payload"]: each for each in explained(home, *opens, environ=bridge.environ)["opens"]}
    said = {message["payload"]: answer(bridge, message) for message in opens}
    fails = {payload: each["attempts"][0]["if_it_fails"] for payload, each in told.items()}
    assert fails["on"]["next"] == said["on"]["environ"]["SPANBRIDGE_RULE"] == "test/bridges[1]"
    assert fails["shut"]["problem"] == said["shut"]["problem"] == "access-denied"
    assert [look["rule"] for look in told["shut"]["rules"] if look["matches"]] == ["test/bridges[2]", "test/bridges[3]"]
    assert [attempt["rule"] for attempt in told["shut"]["attempts"]] == ["test/bridges[2]"]
    assert fails["echo"]["internal"] == "echo"
    assert said["echo"] == {"command": "ready", "channel": "echo"}
    assert fails["lost"]["problem"] == said["lost"]["problem"] == "not-supported"
