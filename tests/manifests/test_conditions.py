"""`conditions` and `requires` (docs/manifests.md, "Only on some machines")."""

from pathlib import Path
from typing import Any

import pytest

from spanbridge.manifests.conditions import judge, version
from spanbridge.manifests.load import MAX_DEFECTS
from spanbridge.manifests.member import MemberError

from .manifest_tree import Tree, names

HERE = {"path-exists": "/"}
GONE = {"path-exists": "/nonexistent"}
NOT_GONE = {"path-not-exists": "/nonexistent"}
NOT_HERE = {"path-not-exists": "/"}
UNKNOWN = {"path-not-exist": "/"}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        ([], True),
        ([HERE], True),
        ([GONE], False),
        ([NOT_GONE], True),
        ([NOT_HERE], False),
        ([HERE, NOT_GONE], True),
        ([HERE, GONE], False),
        ([{"any": []}], False),
        ([{"any": [GONE, HERE]}], True),
        ([{"any": [GONE, NOT_HERE]}], False),
        ([{"any": [GONE, {"any": [NOT_HERE, HERE]}]}], True),
        ([{"any": [{"any": []}]}], False),
        ([{"any": [HERE]}, GONE], False),
        ([UNKNOWN], True),
        ([{"any": [GONE, UNKNOWN]}], True),
        ([{"path-exists": "/\0"}], False),
    ],
)
def test_whether_they_hold(conditions: list[Any], holds: bool) -> None:
    assert (judge(conditions).unmet is None) == holds


@pytest.mark.parametrize(
    ("conditions", "path"),
    [
        ({}, ("conditions",)),
        ("path-exists", ("conditions",)),
        (None, ("conditions",)),
        (["path-exists"], ("conditions", 0)),
        ([HERE, {}], ("conditions", 1)),
        ([{"path-exists": "/", "path-not-exists": "/x"}], ("conditions", 0)),
        ([{"path-exists": 1}], ("conditions", 0, "path-exists")),
        ([{"path-not-exists": None}], ("conditions", 0, "path-not-exists")),
        ([{"any": HERE}], ("conditions", 0, "any")),
        ([{"any": [{}]}], ("conditions", 0, "any", 0)),
        # Found also where the outcome is settled before.
        ([GONE, {"path-exists": []}], ("conditions", 1, "path-exists")),
        ([{"any": [HERE, {"any": [HERE, 5]}]}], ("conditions", 0, "any", 1, "any", 1)),
    ],
)
def test_a_malformed_one(conditions: Any, path: tuple[str | int, ...]) -> None:
    with pytest.raises(MemberError) as caught:
        judge(conditions)
    assert caught.value.path == path


def test_a_malformed_one_makes_the_package_unusable_with_one_defect(tree: Tree) -> None:
    file = tree.package("p", '{\n "conditions": [\n  {"path-exists": "/"},\n  {"any": [{"path-exists": 5}]}\n ]\n}')
    catalog = tree.load()
    assert names(catalog) == []
    (defect,) = catalog.defects
    assert str(defect).startswith(f"{file}:4:13: conditions[1].any[0].path-exists: found number 5, expected a string")


def test_an_unknown_one_is_a_warning_and_holds(tree: Tree) -> None:
    file = tree.package("p", '{"conditions": [\n  {"any": [{"path-not-exist": "/"}]}\n]}')
    catalog = tree.load()
    assert names(catalog) == ["p"]
    (defect,) = catalog.defects
    assert str(defect).startswith(f"{file}:2:13: conditions[0].any[0].path-not-exist: found the unknown condition")


def test_of_very_many_unknown_ones_the_first_are_told_and_the_rest_are_counted(tree: Tree) -> None:
    """A manifest may be full of them: its size is scanned once, not once for each."""
    file = tree.package("p", '{"conditions": [\n' + '{"x": 1},\n' * 100_000 + '{"y": 1}]}')
    catalog = tree.load()
    assert names(catalog) == ["p"]
    assert len(catalog.defects) == MAX_DEFECTS + 1
    assert str(catalog.defects[99]).startswith(f"{file}:101:2: conditions[99].x: found the unknown condition")
    assert str(catalog.defects[100]) == (
        f"{file}:1:2: conditions: {100_001 - MAX_DEFECTS} more conditions are unknown, and count as met like these"
    )


def test_why_a_package_is_hidden(tree: Tree) -> None:
    tree.package("a", {"conditions": [HERE, GONE, NOT_HERE]})
    tree.package("b", {"conditions": [{"any": [GONE, NOT_HERE]}]})
    tree.package("c", {"requires": {"cockpit": "321"}})
    tree.package("d", {"requires": {"other": "1"}})
    catalog = tree.load()
    assert catalog.defects == ()
    assert [(entry.name, entry.reason) for entry in catalog.hidden] == [
        ("a", 'condition not met: path-exists "/nonexistent"'),
        ("b", 'condition not met: any of [path-exists "/nonexistent", path-not-exists "/"]'),
        ("c", 'requires.cockpit: wants "321", this is 320'),
        ("d", 'requires.other: nothing here provides "other"'),
    ]


@pytest.mark.parametrize(
    ("wanted", "generation", "usable"),
    [
        ("320", "320", True),
        ("319", "320", True),
        ("321", "320", False),
        ("99", "320", True),
        ("320.0", "320", True),
        ("320.0.0", "320.0", True),
        ("320.1", "320", False),
        ("320.1", "320.2", True),
        ("320.10", "320.9", False),
        ("0320", "320", True),
        ("0", "0", True),
        ("9" * 5000, "320", False),
        ("0" * 5000 + "1", "320", True),
    ],
)
@pytest.mark.parametrize("member", ["requires", "require"])
def test_versions_are_compared_number_by_number(
    tree: Tree, member: str, wanted: str, generation: str, usable: bool
) -> None:
    tree.package("p", {member: {"cockpit": wanted}})
    catalog = tree.load(generation=generation)
    assert (names(catalog) == ["p"]) == usable
    assert catalog.defects == ()


def test_both_spellings_together_must_hold(tree: Tree) -> None:
    tree.package("p", {"requires": {"cockpit": "1"}, "require": {"cockpit": "999"}})
    tree.package("q", {"requires": {}, "require": {"cockpit": "1"}})
    assert names(tree.load()) == ["q"]


@pytest.mark.parametrize(
    ("requires", "member"),
    [
        ("120", "requires"),
        (["cockpit"], "requires"),
        (None, "requires"),
        ({"cockpit": 120}, "requires.cockpit"),
        ({"cockpit": None}, "requires.cockpit"),
        ({"cockpit": ""}, "requires.cockpit"),
        ({"cockpit": "1."}, "requires.cockpit"),
        ({"cockpit": "1.x"}, "requires.cockpit"),
        ({"cockpit": "-1"}, "requires.cockpit"),
        ({"cockpit": "\u0661"}, "requires.cockpit"),
        ({"other": "1", "cockpit": 1}, "requires.cockpit"),
    ],
)
def test_a_wrong_type_leaves_the_package_out(tree: Tree, requires: Any, member: str) -> None:
    tree.package("p", {"requires": requires})
    catalog = tree.load()
    assert names(catalog) == []
    assert [defect.member for defect in catalog.defects] == [member]


def test_order_of_versions() -> None:
    texts = ["0", "0.1", "1", "1.0.1", "1.2", "1.10", "2", "10"]
    known = [version(text) for text in texts]
    assert known == sorted(known, key=lambda parts: parts or ())
    assert len(set(known)) == len(texts)
