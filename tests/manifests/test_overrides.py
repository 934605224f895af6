"""Overrides (docs/manifests.md, "Overrides")."""

from pathlib import Path
from typing import Any

import pytest

from .manifest_tree import Tree, names, write


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_each_is_applied_over_those_before(tree: Tree) -> None:
    directory = tree.package("p", {"who": "manifest", "m": 1}).parent
    files = [
        write(directory / "override.json", {"who": "directory", "d": 1}),
        tree.override("p", {"who": "etc", "e": 1}),
        tree.override("p", {"who": "etc2", "f": 1}, where=tree.etc2),
        tree.override("p", {"who": "user", "u": 1}, where=tree.config),
    ]
    expected = ["user", "etc2", "etc", "directory", "manifest"]
    for who in expected:
        (package,) = tree.load().packages
        assert package.manifest["who"] == who
        assert package.overrides == tuple(map(str, files))
        if files:
            files.pop().unlink()


def test_they_are_merge_patches(tree: Tree) -> None:
    tree.package("p", {"menu": {"logs": {"label": "Logs"}, "services": {"label": "S", "order": 3}}})
    tree.override("p", {"menu": {"logs": None, "services": {"order": -1}}})
    (package,) = tree.load().packages
    assert package.manifest == {"menu": {"services": {"label": "S", "order": -1}}}


def test_the_file_is_named_after_the_directory_not_the_package(tree: Tree) -> None:
    tree.package("directory", {"name": "package"})
    tree.override("package", {"version": "wrong"})
    tree.override("directory", {"version": "right"})
    (package,) = tree.load().packages
    assert (package.name, package.manifest["version"]) == ("package", "right")


def test_one_can_rename_and_can_take_members_away(tree: Tree) -> None:
    tree.package("p", {"name": "x", "priority": 5, "conditions": [{"path-exists": "/nonexistent"}]})
    tree.override("p", {"name": "y", "priority": None, "conditions": None, "requires": {"cockpit": None}})
    (package,) = tree.load().packages
    assert (package.name, package.priority) == ("y", 1.0)


def test_one_can_mend_a_broken_member(tree: Tree) -> None:
    tree.package("p", {"priority": "high"})
    tree.override("p", {"priority": 3})
    catalog = tree.load()
    assert catalog.defects == ()
    assert catalog.packages[0].priority == 3


def test_bridges_are_replaced_whole_and_their_source_is_the_override(tree: Tree) -> None:
    tree.package("p", {"bridges": [{"match": {}, "spawn": ["a"]}, {"match": {}, "spawn": ["b"]}]})
    file = tree.override("p", '{\n "bridges": [\n  {"match": {}, "spawn": ["c"]}\n ]\n}')
    (rule,) = tree.load().rules
    assert (rule.spawn, rule.source, rule.name) == (("c",), f"{file}:3", "p/bridges[0]")


@pytest.mark.parametrize(
    ("patch", "line", "member"),
    [
        ("{", 1, ""),
        ("[]", 1, ""),
        ("null", 1, ""),
        ("", 1, ""),
        ('{\n"a":1\n"b":2}', 3, ""),
        ('{\n"name": 1}', 2, "name"),
        ('{\n"name": "a b"}', 2, "name"),
        ('{\n"priority": true}', 2, "priority"),
        ('{"a": 1,\n\n"conditions": {}}', 3, "conditions"),
        ('{"conditions": [\n{}]}', 2, "conditions[0]"),
        ('{\n"requires": []}', 2, "requires"),
        ('{"requires": {\n"cockpit": 5}}', 2, "requires.cockpit"),
        ('{"require": {\n"cockpit": "x"}}', 2, "require.cockpit"),
        ("[" * 100_000, 1, ""),
    ],
)
def test_a_bad_one_is_left_out_alone(tree: Tree, patch: str, line: int, member: str) -> None:
    tree.package("p", {"version": 1, "priority": 4})
    good = tree.override("p", {"version": 2}, where=tree.config)
    bad = tree.override("p", patch)
    catalog = tree.load()
    (package,) = catalog.packages
    assert (package.manifest, package.overrides) == ({"version": 2, "priority": 4}, (str(good),))
    assert [(defect.file, defect.line, defect.member) for defect in catalog.defects] == [(str(bad), line, member)]


def test_a_defect_names_the_file_that_brought_the_member_in(tree: Tree) -> None:
    manifest = tree.package("p", {"version": 1, "bridges": [{"spawn": ["a"], "match": {}}]})
    override = tree.override("p", '{"x": 1,\n"bridges": [{"match": {},\n"spawn": "a"}]}')
    tree.override("p", {"y": 1}, where=tree.config)
    (defect,) = tree.load().defects
    assert str(defect) == f'{override}:3:1: bridges[0].spawn: found string "a", expected a list of strings'
    override.unlink()
    manifest.write_text('{"priority": []}')
    (defect,) = tree.load().defects
    assert str(defect) == f"{manifest}:1:2: priority: found an empty list, expected a number"


@pytest.mark.parametrize("bridges", [{}, "x", 5, {"0": {}}])
def test_bridges_that_are_no_list(tree: Tree, bridges: Any) -> None:
    tree.package("p", {"bridges": [{"match": {}, "spawn": ["a"]}]})
    override = tree.override("p", {"bridges": bridges})
    catalog = tree.load()
    assert (names(catalog), catalog.rules) == (["p"], ())
    assert [(defect.file, defect.member) for defect in catalog.defects] == [(str(override), "bridges")]


def test_overrides_for_what_is_not_installed_are_not_read(tree: Tree) -> None:
    tree.override("nobody", "{")
    assert tree.load().defects == ()


def test_one_directory_is_not_applied_twice(tree: Tree) -> None:
    tree.environ["XDG_CONFIG_DIRS"] = f"{tree.etc}:{tree.etc}/"
    tree.environ["XDG_CONFIG_HOME"] = str(tree.etc)
    tree.package("p")
    file = tree.override("p", {"a": 1})
    assert tree.load().packages[0].overrides == (str(file),)
