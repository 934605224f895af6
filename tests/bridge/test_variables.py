"""What a helper is started with: argv, environ and directory as expanded (docs/manifests.md, "Variables")."""

import os
import pwd
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanbridge.testing.frames import encode
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import command, helper_rule, init, serve

GOOD = [init(), serve()]
TEST = {"payload": "test"}

# the value in the open -> what it becomes
VALUES: dict[str, tuple[Any, str]] = {
    "text": ("text", "text"),
    "empty": ("", ""),
    "number": (5, "5"),
    "negative": (-5, "-5"),
    "fraction": (1.5, "1.5"),
    "large": (12345678901234567890123, "12345678901234567890123"),
    "true": (True, "true"),
    "false": (False, "false"),
    "null": (None, ""),
    "spaces": ("two  words ", "two  words "),
    "quotes": ("\"a\" 'b' `c`", "\"a\" 'b' `c`"),
    "shell": ("$(id); a && b | c > d & $HOME ~ *", "$(id); a && b | c > d & $HOME ~ *"),
    "line feeds": ("a\nb\r\nc\n", "a\nb\r\nc\n"),
    "dashes": ("--help", "--help"),
    "equals": ("A=B=C", "A=B=C"),
    "slashes": ("../../etc/passwd", "../../etc/passwd"),
    "backslashes": ("\\n\\", "\\n\\"),
    "variable": ("${other}", "${other}"),
    "escaped variable": ("\\${other}", "\\${other}"),
    "half a variable": ("${", "${"),
    "other scripts": ("żółć 日本 🌍", "żółć 日本 🌍"),
    "control characters": ("\x01\x1b[31m\x7f", "\x01\x1b[31m\x7f"),
    "64 KiB": ("x" * 65_536, "x" * 65_536),
}

# what stands in the manifest -> what it becomes, in an open with tag "T", dotted.name-1 "D", and no "missing"
TEMPLATES = {
    "${tag}": "T",
    "a${tag}b": "aTb",
    "${tag}${tag}": "TT",
    "${tag}@${dotted.name-1}": "T@D",
    "${missing}": "",
    "[${missing}]": "[]",
    "\\${tag}": "${tag}",
    "a\\${tag}${tag}": "a${tag}T",
    "${}": "${}",
    "${a b}": "${a b}",
    "${tag": "${tag",
    "${${tag}}": "${T}",
    "$tag": "$tag",
    "{tag}": "{tag}",
    "$${tag}": "$T",
    "${täg}": "${täg}",
    "\\n": "\\n",
    "%s %(tag)s": "%s %(tag)s",
}


def test_values(start: Start) -> None:
    """In argv and environ, alone and amid other text. The open itself reaches the helper as it was."""
    rule = helper_rule(TEST, GOOD, "${tag}", "x${tag}y", environ=["TAG=${tag}", "AROUND=x${tag}y"])
    front = start(rule).front_end
    for name, (value, _) in VALUES.items():
        front.open(name, tag=value, other="not this one")
    for name, (value, text) in VALUES.items():
        ready = front.expect("ready", name)
        assert ready["argv"] == [text, f"x{text}y"], name
        assert ready["environ"]["TAG"] == text, name
        assert ready["environ"]["AROUND"] == f"x{text}y", name
        sent = {"command": "open", "channel": name, "payload": "test", "tag": value, "other": "not this one"}
        assert ready["open"] == sent, name


def test_templates(start: Start) -> None:
    environ = [f"V{number}={template}" for number, template in enumerate(TEMPLATES)]
    rule = helper_rule(TEST, GOOD, *TEMPLATES, environ=environ)
    front = start(rule).front_end
    front.open("a", tag="T", **{"dotted.name-1": "D", "täg": "no"})
    ready = front.expect("ready", "a")
    assert ready["argv"] == list(TEMPLATES.values())
    assert [ready["environ"][f"V{number}"] for number in range(len(TEMPLATES))] == list(TEMPLATES.values())


@pytest.mark.parametrize("members", [{"environ": ["TAG=${tag}"]}, {"directory": "/${tag}"}, {}], ids=str)
def test_values_that_nothing_can_take(start: Start, members: dict[str, Any]) -> None:
    """The channel is closed with protocol-error and the variable's name; neither problem nor another rule matters."""
    arguments = () if members else ("${tag}",)
    bridge = start(helper_rule(TEST, GOOD, *arguments, problem="not-this", **members), helper_rule(TEST, GOOD))
    front = bridge.front_end
    for value in ([], ["x"], {}, {"a": 1}, "a\0b"):
        front.open("a", tag=value)
        closed = front.expect("close", "a")
        assert closed["problem"] == "protocol-error"
        assert "tag" in closed["message"]
    front.sync()
    assert bridge.children == []


def test_a_list_that_no_template_names_is_of_no_matter(start: Start) -> None:
    front = start(helper_rule(TEST, GOOD, "${tag}")).front_end
    front.open("a", tag="x", other=[1], more={"nul": "\0"})
    assert front.expect("ready", "a")["argv"] == ["x"]


def test_a_name_in_environ_must_still_be_one(start: Start) -> None:
    front = start(helper_rule(TEST, GOOD, environ=["${tag}=value"])).front_end
    for name in ("", "=", "a=b"):
        front.open("a", tag=name)
        closed = front.expect("close", "a")
        assert closed["problem"] == "protocol-error"
        assert "environ" in closed["message"]


def test_a_name_in_environ_may_be_expanded(start: Start) -> None:
    front = start(helper_rule(TEST, GOOD, environ=["PRIVATE_${tag}=${tag}!"])).front_end
    front.open("a", tag="x1_Y")
    assert front.expect("ready", "a")["environ"]["PRIVATE_x1_Y"] == "x1_Y!"


def test_environ_is_added_to_the_bridge_s_own(start: Start) -> None:
    rule = helper_rule(TEST, GOOD, environ=["OWN=changed", "NEW=1", "TWICE=first", "TWICE=second"])
    bridge = start(rule, environ={"OWN": "unchanged", "KEPT": "kept"})
    bridge.front_end.open("a")
    environ = bridge.front_end.expect("ready", "a")["environ"]
    added = {"OWN": "changed", "NEW": "1", "TWICE": "second", "KEPT": "kept"}
    found = {name: value for name, value in environ.items() if not name.startswith(("SPANBRIDGE_", "PYTHON"))}
    found.pop("PWD", None)  # the shell that starts Python may say it
    account = pwd.getpwuid(os.getuid())
    of_account = {"HOME": account.pw_dir, "USER": account.pw_name, "SHELL": account.pw_shell or "/bin/sh"}
    assert found == {**of_account, **bridge.environ, **added}


def test_directory(start: Start, tmp_path: Path) -> None:
    (tmp_path / "in here").mkdir()
    rules = [
        helper_rule({"payload": "given"}, GOOD, directory=f"{tmp_path}/${{where}}"),
        helper_rule({"payload": "none"}, GOOD),
    ]
    bridge = start(*rules)
    front = bridge.front_end
    front.open("a", "given", where="in here")
    front.open("b", "none")
    assert front.expect("ready", "a")["cwd"] == str(tmp_path / "in here")
    assert front.expect("ready", "b")["cwd"] == os.readlink(f"/proc/{bridge.pid}/cwd")


def test_a_command_is_found_through_the_path_of_the_expanded_environ(start: Start, tmp_path: Path) -> None:
    argv = command(GOOD, "found")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "my-helper").symlink_to(argv[0])
    rule = {
        "match": TEST,
        "spawn": ["my-helper", *argv[1:]],
        "environ": [f"PATH={tmp_path}/${{where}}:/usr/bin"],
        "problem": "not-found",
    }
    front = start(rule).front_end
    for where in ("one", "two", "three"):
        front.open(where, where=where)
    assert front.expect("ready", "one")["argv"] == ["found"]
    front.expect("ready", "two")
    assert front.expect("close", "three")["problem"] == "not-found"


def test_no_shell_is_involved(start: Start) -> None:
    front = start(helper_rule(TEST, GOOD, "$HOME", "*", "a;b", "", "$(id)")).front_end
    front.open("a")
    assert front.expect("ready", "a")["argv"] == ["$HOME", "*", "a;b", "", "$(id)"]


def test_a_megabyte_is_a_clean_failure_to_start(start: Start) -> None:
    front = start(helper_rule(TEST, GOOD, "${tag}", problem="too-much"), helper_rule(TEST, GOOD)).front_end
    front.open("a", tag="x" * 1_000_000)
    assert front.expect("close", "a")["problem"] == "too-much"
    front.open("b", tag="small")
    assert front.expect("ready", "b")["argv"] == ["small"]


def test_any_text_arrives_as_it_is(start: Start) -> None:
    rule = helper_rule(TEST, GOOD, "${one}", "${two}${one}", environ=["BOTH=${one}-${two}"])
    front = start(rule).front_end
    texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
    channels = iter(range(1_000))

    @settings(max_examples=15, deadline=None)
    @given(one=texts, two=texts)
    def arrives(one: str, two: str) -> None:
        channel = f"channel {next(channels)}"
        front.open(channel, one=one, two=two)
        ready = front.expect("ready", channel)
        assert ready["argv"] == [one, two + one]
        assert ready["environ"]["BOTH"] == f"{one}-{two}"

    arrives()


# numbers as JSON may write them, which no other value is equal to and nothing else writes alike
WRITTEN = ["-0", "0.10", "1.0e2", "1e400", "-1E+5", "1.50", "0", "-0.0", "1" * 4_000]


def test_numbers_stay_as_they_are_written(start: Start) -> None:
    steps = [init(), serve({"open": [["ready", {"open": {}}]]})]
    front = start(helper_rule(TEST, steps, "${tag}", environ=["TAG=${tag}"])).front_end
    for number in WRITTEN:
        ident = number[:20]
        text = f'{{"command":"open","channel":"{ident}","payload":"test","tag":{number}}}'
        front.write(encode("", text.encode()))
        ready = front.expect("ready", ident)
        assert ready["argv"] == [number]
        assert ready["environ"]["TAG"] == number


@pytest.mark.parametrize("locale", [{"LC_ALL": "C"}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0"}, {"LANG": "C"}])
def test_text_is_utf_8_in_any_locale(start: Start, locale: dict[str, str]) -> None:
    """What becomes of it in argv, environ and the name of a directory is seen in bytes by a program that knows none."""
    text = "żółć 日本 🌍"
    rule = {
        "match": TEST,
        "environ": ["TAG=${tag}"],
        "spawn": ["/bin/sh", "-c", 'printf %s "$0" | od -An -tx1 >&2; printf %s "$TAG" | od -An -tx1 >&2', "${tag}"],
    }
    bridge = start(rule, environ=locale)
    bridge.front_end.open("a", tag=text)
    bridge.front_end.expect("close", "a")
    seen = "".join(re.findall(r"(?<= )[0-9a-f]{2}(?= |$|\")", " ".join(bridge.log.lines)))
    assert seen.count(text.encode().hex()) == 2
