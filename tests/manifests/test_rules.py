"""Members of a bridge entry, and every way in which one can be wrong (docs/manifests.md, "Members of a bridge")."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from spanbridge.manifests.load import MAX_DEFECTS
from spanbridge.manifests.model import Defect, Rule

from .manifest_tree import Tree, names, rule

GOOD = {"match": {"payload": "x"}, "spawn": ["x"]}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def with_entries(tree: Tree, entries: list[Any]) -> Path:
    """A package whose entries stand on a line each, from line 3."""
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    return tree.package("p", f'{{\n"bridges": [\n{lines}\n]}}')


def test_all_members(tree: Tree) -> None:
    file = with_entries(
        tree,
        [
            GOOD,
            {
                "match": {"payload": "a*", "n": [1, {"b": None}], "p": None},
                "spawn": ["cmd", "", "${x} y"],
                "environ": ["A=1", "B_${x}=${y}", "2=", "${x}=a=b"],
                "directory": "/srv/${x}",
                "problem": "access-denied",
                "timeout": 2.5,
                "privileged": False,
                "label": "Label",
                "unknown": {"is": "ignored"},
            },
        ],
    )
    catalog = tree.load()
    assert catalog.defects == ()
    assert catalog.rules[1] == Rule(
        package="p",
        position=1,
        source=f"{file}:4",
        match={"payload": "a*", "n": [1, {"b": None}], "p": None},
        spawn=("cmd", "", "${x} y"),
        environ=("A=1", "B_${x}=${y}", "2=", "${x}=a=b"),
        directory="/srv/${x}",
        problem="access-denied",
        timeout=2.5,
        privileged=False,
        label="Label",
    )
    assert catalog.rules[1].name == "p/bridges[1]"


def test_what_is_left_out_has_its_default(tree: Tree) -> None:
    with_entries(tree, [{"match": {}, "spawn": ["x"]}])
    (found,) = tree.load().rules
    assert (found.environ, found.directory, found.problem, found.timeout, found.privileged, found.label) == (
        (),
        None,
        None,
        None,
        False,
        None,
    )


@pytest.mark.parametrize("seconds", [0, 30, 0.5, 1e300])
def test_timeouts(tree: Tree, seconds: float) -> None:
    with_entries(tree, [{**GOOD, "timeout": seconds}])
    (found,) = tree.load().rules
    assert found.timeout == seconds
    assert isinstance(found.timeout, float)


def test_a_privileged_one(tree: Tree) -> None:
    entry = {"privileged": True, "spawn": ["sudo", "-A", "\\${x}", "${}"], "environ": ["SUDO_ASKPASS=x"], "label": "L"}
    with_entries(tree, [entry])
    catalog = tree.load()
    assert catalog.defects == ()
    (found,) = catalog.privileged
    assert (found.match, found.privileged, found.label) == (None, True, "L")


NEEDS_ONE_MEMBER = [
    ("null", "bridges[1]", "found null, expected an object"),
    ('"spawn"', "bridges[1]", 'found string "spawn", expected an object'),
    ("7", "bridges[1]", "found number 7, expected an object"),
    ("[]", "bridges[1]", "found an empty list, expected an object"),
    ("{}", "bridges[1]", "no spawn"),
]
WRONG_MEMBERS: list[tuple[str, Any, str, str]] = [
    ("match", None, "match", "found null, expected an object"),
    ("match", [], "match", "found an empty list, expected an object"),
    ("match", "x", "match", 'found string "x", expected an object'),
    ("match", True, "match", "found true, expected an object"),
    ("spawn", None, "spawn", "found null, expected a list of strings"),
    ("spawn", "cmd arg", "spawn", 'found string "cmd arg", expected a list of strings'),
    ("spawn", {}, "spawn", "found an empty object, expected a list of strings"),
    ("spawn", [], "spawn", "found an empty list, expected the command and its arguments"),
    ("spawn", [""], "spawn[0]", 'found string "", expected a command'),
    ("spawn", ["x", 5], "spawn[1]", "found number 5, expected a string"),
    ("spawn", ["x", "y", None], "spawn[2]", "found null, expected a string"),
    ("spawn", [["x"]], "spawn[0]", "found a list, expected a string"),
    ("spawn", ["x", "a\0b"], "spawn[1]", 'found a NUL character in "a\\u0000b"'),
    ("environ", None, "environ", "found null, expected a list of strings"),
    ("environ", {"A": "1"}, "environ", "found an object, expected a list of strings"),
    ("environ", "A=1", "environ", 'found string "A=1", expected a list of strings'),
    ("environ", [1], "environ[0]", "found number 1, expected a string"),
    ("environ", ["A=1", "B"], "environ[1]", 'found string "B", expected NAME=value'),
    ("environ", ["=x"], "environ[0]", 'found string "=x", expected NAME=value'),
    ("environ", [""], "environ[0]", 'found string "", expected NAME=value'),
    ("environ", ["${x}"], "environ[0]", 'found string "${x}", expected NAME=value'),
    ("environ", ["A=\0"], "environ[0]", "found a NUL character"),
    ("directory", None, "directory", "found null, expected a string"),
    ("directory", ["/"], "directory", "found a list, expected a string"),
    ("directory", "/\0", "directory", "found a NUL character"),
    ("problem", 5, "problem", "found number 5, expected a string"),
    ("problem", None, "problem", "found null, expected a string"),
    ("timeout", "30", "timeout", 'found string "30", expected a number of seconds'),
    ("timeout", True, "timeout", "found true, expected a number of seconds"),
    ("timeout", None, "timeout", "found null, expected a number of seconds"),
    ("timeout", -1, "timeout", "found number -1, expected a number of seconds, 0 or more"),
    ("timeout", 10**400, "timeout", "expected a number of seconds below 1.8e308"),
    ("privileged", 1, "privileged", "found number 1, expected true or false"),
    ("privileged", "yes", "privileged", 'found string "yes", expected true or false'),
    ("privileged", None, "privileged", "found null, expected true or false"),
    ("privileged", True, "match", "found an object, expected none, since the bridge is privileged"),
    ("label", False, "label", "found false, expected a string"),
    ("label", {}, "label", "found an empty object, expected a string"),
]


def assert_left_out_alone(tree: Tree, entry: str, member: str, message: str) -> None:
    """The entry, as JSON text on the fourth line, is the one defect, and what is around it stays."""
    good = json.dumps(GOOD)
    file = tree.package("p", f'{{\n"bridges": [\n{good},\n{entry},\n{good}\n]}}')
    tree.package("other", {"bridges": [GOOD]})
    catalog = tree.load()
    (defect,) = catalog.defects
    assert (defect.file, defect.line, defect.member) == (str(file), 4, member)
    assert message in defect.message
    assert [found.name for found in catalog.rules] == ["other/bridges[0]", "p/bridges[0]", "p/bridges[2]"]
    assert [found.source for found in catalog.rules[1:]] == [f"{file}:3", f"{file}:5"]
    assert names(catalog) == ["other", "p"]


@pytest.mark.parametrize(("entry", "member", "message"), NEEDS_ONE_MEMBER)
def test_an_entry_that_is_wrong_as_a_whole(tree: Tree, entry: str, member: str, message: str) -> None:
    assert_left_out_alone(tree, entry, member, message)


@pytest.mark.parametrize(("member", "value", "place", "message"), WRONG_MEMBERS)
def test_a_wrong_member(tree: Tree, member: str, value: Any, place: str, message: str) -> None:
    assert_left_out_alone(tree, json.dumps({**GOOD, member: value}), f"bridges[1].{place}", message)


@pytest.mark.parametrize(
    ("entry", "place", "message"),
    [
        ({"spawn": ["x"]}, "", "no match, which only a privileged bridge goes without"),
        ({"spawn": ["x"], "privileged": False}, "", "no match"),
        ({"match": {}}, "", "no spawn"),
        ({"privileged": True}, "", "no spawn"),
        ({"match": {}, "problem": 5}, ".problem", "expected a string"),
        ({"match": {}, "problem": None}, ".problem", "expected a string"),
        ({"privileged": True, "spawn": ["x"], "match": {}}, ".match", "found an empty object, expected none"),
        ({"privileged": True, "spawn": ["x", "${y}"]}, ".spawn[1]", "found the variable ${y}, expected none"),
        ({"privileged": True, "spawn": ["x"], "environ": ["A=${y}"]}, ".environ[0]", "found the variable ${y}"),
        ({"privileged": True, "spawn": ["x"], "environ": ["A${y}="]}, ".environ[0]", "found the variable ${y}"),
        ({"privileged": True, "spawn": ["x"], "directory": "/${y}"}, ".directory", "found the variable ${y}"),
    ],
)
def test_members_that_do_not_go_together(tree: Tree, entry: dict[str, Any], place: str, message: str) -> None:
    assert_left_out_alone(tree, json.dumps(entry), f"bridges[1]{place}", message)


def test_several_things_wrong_in_one_entry_are_one_defect(tree: Tree) -> None:
    with_entries(tree, [{"match": 5, "spawn": 5, "environ": 5, "timeout": "x"}])
    assert len(tree.load().defects) == 1


def test_line_and_column_of_a_member_of_an_entry_over_many_lines(tree: Tree) -> None:
    text = """{
  "bridges": [
    {
      "match": { "pay\\"load": "spawn", "spawn": ["environ"] },
      "spawn": [
        "x",
        "ä", 5
      ]
    }
  ]
}"""
    file = tree.package("p", text)
    (defect,) = tree.load().defects
    assert str(defect) == f"{file}:7:14: bridges[0].spawn[2]: found number 5, expected a string"


def test_the_last_of_two_members_of_one_name_counts(tree: Tree) -> None:
    file = tree.package("p", '{"bridges": [{"match": {}, "spawn": ["a"],\n"timeout": 5,\n"timeout": "x"}]}')
    (defect,) = tree.load().defects
    assert (defect.line, defect.member) == (3, "bridges[0].timeout")
    file.write_text('{"bridges": [5],\n"bridges": [{"match": {}, "spawn": ["a"]}]}')
    catalog = tree.load()
    assert catalog.defects == ()
    assert [found.source for found in catalog.rules] == [f"{file}:2"]


def test_lines_are_right_when_the_same_list_stands_elsewhere_too(tree: Tree) -> None:
    entries = json.dumps([GOOD, 5])
    file = tree.package("p", f'{{"other": {entries},\n"bridges":\n{entries}}}')
    catalog = tree.load()
    assert [found.source for found in catalog.rules] == [f"{file}:3"]
    assert [defect.line for defect in catalog.defects] == [3]


def test_the_defects_of_one_list_are_bounded(tree: Tree) -> None:
    tree.package("p", {"bridges": [5] * 50_000 + [GOOD]})
    catalog = tree.load()
    assert len(catalog.rules) == 1
    assert len(catalog.defects) == MAX_DEFECTS + 1
    assert "49900 more entries" in catalog.defects[-1].message
    assert len(tree.load(max_defects=3).defects) == 4


def test_a_long_value_is_quoted_short(tree: Tree) -> None:
    with_entries(tree, [{**GOOD, "directory": ["x"], "spawn": "y" * 1000}, {**GOOD, "timeout": "z\n" * 1000}])
    for defect in tree.load().defects:
        assert len(defect.message) < 150
        assert "\n" not in defect.message


class TestIdentity:
    def test_moving_a_rule_does_not_change_it(self, tree: Tree) -> None:
        entry = {"match": {"a": 1, "b": {"c": 1, "d": 2}}, "spawn": ["x"], "environ": ["A=1"], "timeout": 3}
        with_entries(tree, [entry])
        (before,) = tree.load().rules
        moved = {"environ": ["A=1"], "timeout": 3.0, "spawn": ["x"], "match": {"b": {"d": 2, "c": 1}, "a": 1}}
        with_entries(tree, [GOOD, moved])
        after = tree.load().rules[1]
        assert (before.position, before.source) != (after.position, after.source)
        assert before.identity == after.identity
        assert hash(before.identity) == hash(after.identity)

    @pytest.mark.parametrize(
        "change",
        [
            {"package": "other"},
            {"match": {"a": 2}},
            {"match": None},
            {"match": {"a": True}},
            {"spawn": ("x", "")},
            {"environ": ("A=1", "B=2")},
            {"directory": "/"},
            {"problem": "x"},
            {"timeout": 1.0},
            {"privileged": True},
            {"label": "x"},
        ],
    )
    def test_any_other_change_does(self, change: dict[str, Any]) -> None:
        before = rule({"a": 1}, spawn=["x"], environ=["B=2", "A=1"])
        assert before.identity != msgspec.structs.replace(before, **change).identity

    def test_members_do_not_run_into_each_other(self) -> None:
        assert rule({}, spawn=["a", "b"]).identity != rule({}, spawn=["a"], environ=["b"]).identity
        assert rule({}, problem="x").identity != rule({}, directory="x").identity


def test_rules_and_packages_can_be_keys(tree: Tree) -> None:
    with_entries(tree, [GOOD])
    catalog, again = tree.load(), tree.load()
    assert {catalog.rules[0]: 1}[again.rules[0]] == 1
    assert {catalog.packages[0]: 1}[again.packages[0]] == 1


@pytest.mark.parametrize(
    ("defect", "text"),
    [
        (Defect("f", 3, 7, "a[2].b", "wrong"), "f:3:7: a[2].b: wrong"),
        (Defect("f", 3, 7, "", "wrong"), "f:3:7: wrong"),
        (Defect("f", 3, 0, "a", "wrong"), "f:3: a: wrong"),
        (Defect("f", 0, 0, "a", "wrong"), "f: a: wrong"),
        (Defect("f", 0, 0, "", "wrong"), "f: wrong"),
    ],
)
def test_a_defect_in_words(defect: Defect, text: str) -> None:
    assert str(defect) == text


@pytest.mark.parametrize("odd", ["\x1b[2J", "\x7f", "\x9b2J", "\u2028", "\u202e", "\U000e0001"])
def test_a_defect_moves_no_terminal(tree: Tree, odd: str) -> None:
    """Whatever is quoted from a file: names of members, values, conditions."""
    with_entries(tree, [{**GOOD, "spawn": odd}, {**GOOD, "environ": [odd]}])
    tree.package("q", {"conditions": [{odd: 1}]})
    tree.package("r", {"requires": {odd: 1}})
    tree.package("s", {"name": odd})
    defects = tree.load().defects
    assert len(defects) == 5
    assert all(str(defect).isprintable() for defect in defects)


def test_an_entry_that_may_refuse_is_told_loudly_where_it_is_left_out(tree: Tree) -> None:
    tree.package("a", {"bridges": [{"match": 5, "spawn": ["x"]}, {"match": 5, "problem": "access-denied"}]})
    first, second = tree.load().defects
    assert (first.restricts, second.restricts) == (False, True)
    assert second.message.endswith("; the bridge is left out, and refuses nothing with its problem")
