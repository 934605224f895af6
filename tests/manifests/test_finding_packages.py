"""Data directories, hiding, names and priorities (docs/manifests.md, "Where files go" and "Two packages, one name")."""

import json
import os
import pwd
from pathlib import Path
from typing import Any

import pytest

from spanbridge.manifests.directories import Place, data_directories, libexecdir, override_directories

from .manifest_tree import Tree, names


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


SYSTEM = (Place("/usr/local/share/cockpit", False), Place("/usr/share/cockpit", False))


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HOME": "/h"}, (Place("/h/.local/share/cockpit", True), *SYSTEM)),
        ({"HOME": "/h/"}, (Place("/h/.local/share/cockpit", True), *SYSTEM)),
        ({"HOME": "relative"}, SYSTEM),
        ({"HOME": "/h", "XDG_DATA_HOME": "/d"}, (Place("/d/cockpit", True), *SYSTEM)),
        ({"HOME": "/h", "XDG_DATA_HOME": ""}, (Place("/h/.local/share/cockpit", True), *SYSTEM)),
        ({"HOME": "/h", "XDG_DATA_HOME": "d"}, (Place("/h/.local/share/cockpit", True), *SYSTEM)),
        ({"XDG_DATA_HOME": "/d", "XDG_DATA_DIRS": ""}, (Place("/d/cockpit", True), *SYSTEM)),
        ({"XDG_DATA_HOME": "/d", "XDG_DATA_DIRS": "a:b"}, (Place("/d/cockpit", True), *SYSTEM)),
        (
            {"XDG_DATA_HOME": "/d", "XDG_DATA_DIRS": "/a:rel::/b/:/a:/d/"},
            (Place("/d/cockpit", True), Place("/a/cockpit", False), Place("/b/cockpit", False)),
        ),
    ],
)
def test_data_directories(environ: dict[str, str], expected: tuple[Place, ...]) -> None:
    assert data_directories(environ) == expected


def test_home_of_a_user_without_home_is_that_of_the_account() -> None:
    home = pwd.getpwuid(os.getuid()).pw_dir.rstrip("/")
    assert data_directories({})[0] == Place(f"{home}/.local/share/cockpit", True)
    assert data_directories({"HOME": ""})[0] == Place(f"{home}/.local/share/cockpit", True)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HOME": "/h"}, ("/etc/cockpit", "/h/.config/cockpit")),
        ({"HOME": "/h", "XDG_CONFIG_DIRS": ""}, ("/etc/cockpit", "/h/.config/cockpit")),
        ({"HOME": "/h", "XDG_CONFIG_DIRS": "/a:b:/c"}, ("/a/cockpit", "/c/cockpit", "/h/.config/cockpit")),
        ({"HOME": "/h", "XDG_CONFIG_HOME": "/u"}, ("/etc/cockpit", "/u/cockpit")),
        ({"HOME": "x"}, ("/etc/cockpit",)),
    ],
)
def test_override_directories(environ: dict[str, str], expected: tuple[str, ...]) -> None:
    assert override_directories(environ) == expected


def test_nothing_installed_at_all(tree: Tree) -> None:
    assert tree.load() == type(tree.load())()


def test_what_a_package_says_of_itself(tree: Tree) -> None:
    manifest = tree.package("disks", {"name": "storage", "priority": 2.5, "menu": {"index": {"label": "Disks"}}})
    (package,) = tree.load().packages
    assert (package.name, package.directory, package.path) == ("storage", "disks", str(manifest.parent))
    assert (package.priority, package.user, package.overrides, package.bridges) == (2.5, False, (), ())
    assert package.manifest["menu"] == {"index": {"label": "Disks"}}


def test_a_package_of_the_user_is_marked(tree: Tree) -> None:
    tree.package("mine", where=tree.user)
    tree.package("theirs")
    assert {package.name: package.user for package in tree.load().packages} == {"mine": True, "theirs": False}


def test_packages_are_sorted_by_name(tree: Tree) -> None:
    for name in ("zebra", "ape", "Mule", "x-1", "x_1"):
        tree.package(name)
    assert names(tree.load()) == sorted(["zebra", "ape", "Mule", "x-1", "x_1"])


def test_of_equal_priorities_the_one_found_first_is_used(tree: Tree) -> None:
    tree.package("a", {"version": "user"}, where=tree.user)
    first = tree.package("a", {"version": "first"})
    tree.package("b", where=tree.second)
    catalog = tree.load()
    assert [(package.name, package.manifest.get("version")) for package in catalog.packages] == [
        ("a", "user"),
        ("b", None),
    ]
    (hidden,) = catalog.hidden
    assert hidden.path == str(first.parent)
    assert hidden.reason.startswith(f"found after {tree.user}")


def test_a_higher_priority_is_used_wherever_it_is(tree: Tree) -> None:
    tree.package("a", {"version": "user"}, where=tree.user)
    tree.package("a", {"version": "second", "priority": 99}, where=tree.second)
    (package,) = tree.load().packages
    assert package.manifest["version"] == "second"


@pytest.mark.parametrize(
    "unusable",
    [
        "{",
        {"conditions": [{"path-exists": "/nonexistent"}]},
        {"conditions": [5]},
        {"requires": {"cockpit": "999999"}},
        {"requires": {"other": "1"}},
        {"requires": "1"},
        {"priority": "high"},
        {"name": "a b"},
    ],
    ids=json.dumps,
)
def test_a_copy_that_cannot_be_used_hides_nothing(tree: Tree, unusable: Any) -> None:
    content = {"priority": 99, **unusable} if isinstance(unusable, dict) else unusable
    tree.package("a", content, where=tree.user)
    tree.package("a", {"version": "good"})
    (package,) = tree.load().packages
    assert package.manifest["version"] == "good"


def test_a_directory_without_a_manifest_hides_nothing(tree: Tree) -> None:
    (tree.user / "cockpit/b").mkdir(parents=True)
    tree.package("b")
    assert names(tree.load()) == ["b"]


def test_what_is_no_package_is_passed_over_in_silence(tree: Tree) -> None:
    tree.package("good")
    cockpit = tree.first / "cockpit"
    (cockpit / "branding").mkdir()
    (cockpit / "README").write_text("text")
    (cockpit / "gone").symlink_to("/nonexistent/package")
    tree.package(".hidden", "{")
    (tree.second / "cockpit").parent.mkdir()
    (tree.second / "cockpit").write_text("a file where a directory is looked for")
    catalog = tree.load()
    assert names(catalog) == ["good"]
    assert (catalog.defects, catalog.hidden) == ((), ())


def test_a_package_that_is_a_link_keeps_the_path_it_was_found_by(tree: Tree) -> None:
    elsewhere = tree.package("source", where=tree.root / "work").parent
    link = tree.user / "cockpit/mine"
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere)
    (package,) = tree.load().packages
    assert (package.name, package.path) == ("mine", str(link))


@pytest.mark.parametrize("name", ["a.b", "a b", "a,b", "ä", "a@b", "a\nb"])
def test_a_directory_name_with_other_characters_is_a_defect(tree: Tree, name: str) -> None:
    tree.package(name)
    tree.package("good")
    catalog = tree.load()
    assert names(catalog) == ["good"]
    (defect,) = catalog.defects
    assert "expected letters, digits, underscore and dash" in defect.message
    assert "\n" not in str(defect)


def test_a_directory_of_such_a_name_that_cannot_be_looked_into_is_a_defect_and_no_more(tree: Tree) -> None:
    tree.package("good")
    os.symlink("a.b", tree.first / "cockpit/a.b")  # leads to itself
    os.symlink("c", tree.first / "cockpit/c")
    catalog = tree.load()
    assert names(catalog) == ["good"]
    assert ["a.b" in str(defect) for defect in catalog.defects] == [True, False]


def test_a_directory_name_that_is_not_utf8_can_still_be_reported(tree: Tree) -> None:
    path = os.fsencode(tree.first / "cockpit") + b"/\xff\xfe"
    os.makedirs(path)
    Path(os.fsdecode(path + b"/manifest.json")).write_text("{}")
    (defect,) = tree.load().defects
    assert str(defect).encode()


@pytest.mark.parametrize("name", ["", "a.b", "a/b", "..", "ä", 5, None, True, ["a"]])
def test_a_name_that_is_none_leaves_the_package_out(tree: Tree, name: Any) -> None:
    tree.package("bad", {"version": 1, "name": name})
    tree.package("good")
    catalog = tree.load()
    assert names(catalog) == ["good"]
    assert [(defect.member, defect.line) for defect in catalog.defects] == [("name", 1)]


class TestTwoPackagesOneName:
    def test_the_higher_priority_wins(self, tree: Tree) -> None:
        tree.package("storaged", {"name": "storage"})
        tree.package("disks", {"name": "storage", "priority": 1.5})
        catalog = tree.load()
        assert [package.directory for package in catalog.packages] == ["disks"]
        (hidden,) = catalog.hidden
        assert (hidden.name, hidden.path) == ("storage", str(tree.first / "cockpit/storaged"))
        assert "priority 1 is lower than 1.5" in hidden.reason

    @pytest.mark.parametrize("low", [-1, 0, 0.999, -1e300])
    def test_the_default_priority_is_1(self, tree: Tree, low: float) -> None:
        tree.package("a", {"name": "x", "priority": low})
        tree.package("b", {"name": "x"})
        assert [package.directory for package in tree.load().packages] == ["b"]

    def test_of_equals_the_first_found_wins(self, tree: Tree) -> None:
        tree.package("z", {"name": "x"}, where=tree.user)
        tree.package("b", {"name": "x"})
        tree.package("a", {"name": "x"})
        catalog = tree.load()
        assert [package.directory for package in catalog.packages] == ["z"]
        assert [Path(entry.path).name for entry in catalog.hidden] == ["a", "b"]
        assert all("same priority" in entry.reason for entry in catalog.hidden)

    def test_one_that_cannot_be_used_does_not_compete(self, tree: Tree) -> None:
        tree.package("a", {"name": "x", "priority": 9, "conditions": [{"path-exists": "/nonexistent"}]})
        tree.package("b", {"name": "x", "priority": 8, "requires": {"cockpit": "9999"}})
        tree.package("c", {"name": "x", "priority": 7, "conditions": [{}]})
        tree.package("d", {"name": "x"})
        catalog = tree.load()
        assert [package.directory for package in catalog.packages] == ["d"]
        assert [Path(entry.path).name for entry in catalog.hidden] == ["a", "b", "c"]

    @pytest.mark.parametrize("priority", ["1", True, None, [1], 10**400])
    def test_a_priority_that_is_no_number_leaves_the_package_out(self, tree: Tree, priority: Any) -> None:
        tree.package("bad", {"priority": priority})
        catalog = tree.load()
        assert names(catalog) == []
        assert [(defect.member, "expected a number" in defect.message) for defect in catalog.defects] == [
            ("priority", True)
        ]


class TestOrderOfRules:
    def test_packages_by_priority_then_name_and_entries_as_listed(self, tree: Tree) -> None:
        def bridges(*payloads: str) -> list[dict[str, Any]]:
            return [{"match": {"payload": payload}, "spawn": ["x"]} for payload in payloads]

        tree.package("b", {"bridges": bridges("b1", "b0")})
        tree.package("a", {"bridges": bridges("a1", "a0")})
        tree.package("z", {"priority": 10.5, "bridges": bridges("z")})
        tree.package("y", {"priority": 10, "bridges": bridges("y")})
        tree.package("low", {"priority": -1, "bridges": bridges("low")})
        payloads = [rule.match and rule.match["payload"] for rule in tree.load().rules]
        assert payloads == ["z", "y", "a1", "a0", "b1", "b0", "low"]

    def test_privileged_ones_are_apart_in_the_same_order(self, tree: Tree) -> None:
        tree.package("a", {"bridges": [{"privileged": True, "spawn": ["a"]}, {"match": {}, "spawn": ["b"]}]})
        tree.package("b", {"priority": 2, "bridges": [{"privileged": True, "spawn": ["c"], "label": "C"}]})
        catalog = tree.load()
        assert [rule.spawn for rule in catalog.rules] == [("b",)]
        assert [rule.spawn for rule in catalog.privileged] == [("c",), ("a",)]
        (package,) = [package for package in catalog.packages if package.name == "a"]
        assert [rule.spawn for rule in package.bridges] == [("a",), ("b",)]

    def test_rules_of_packages_not_in_use_are_not_offered(self, tree: Tree) -> None:
        bridges = [{"match": {}, "spawn": ["x"]}]
        tree.package("a", {"name": "n", "bridges": bridges})
        tree.package("b", {"name": "n", "priority": 2})
        tree.package("c", {"requires": {"other": "1"}, "bridges": bridges})
        assert tree.load().rules == ()


class TestLibexecdir:
    def test_the_first_candidate_with_one_of_the_programs(self, tmp_path: Path) -> None:
        for name in ("a/other", "b/cockpit-askpass", "c/cockpit-ssh"):
            (tmp_path / name).parent.mkdir()
            (tmp_path / name).touch()
        candidates = [str(tmp_path / name) for name in ("none", "a", "b", "c")]
        assert libexecdir(candidates) == str(tmp_path / "b")

    def test_none_has_one(self, tmp_path: Path) -> None:
        assert libexecdir([str(tmp_path), "/nonexistent"]) == str(tmp_path)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("${libexecdir}/cockpit-ssh", "/usr/lib/helpers/cockpit-ssh"),
            ("${libexecdir}/cockpit-askpass", "/opt/spanbridge/askpass"),
            ("${libexecdir}/cockpit-askpass-old", "/usr/lib/helpers/cockpit-askpass-old"),
            ("A=${libexecdir}:${libexecdir}/x", "A=/usr/lib/helpers:/usr/lib/helpers/x"),
            ("SUDO_ASKPASS=${libexecdir}/cockpit-askpass", "SUDO_ASKPASS=/opt/spanbridge/askpass"),
            ("\\${libexecdir}/x", "\\${libexecdir}/x"),
            ("${libexecdirs}", "${libexecdirs}"),
        ],
    )
    def test_it_is_replaced_wherever_it_stands(self, tree: Tree, text: str, expected: str) -> None:
        tree.package("p", {"any": [{"where": [text]}], text: 1, "tools": text})
        manifest = tree.load().packages[0].manifest
        assert manifest == {"any": [{"where": [expected]}], expected: 1, "tools": expected}

    def test_spelt_with_an_escape_in_an_override_and_in_a_condition(self, tree: Tree) -> None:
        tree.package("p", {"bridges": []})
        tree.override("p", '{"bridges": [{"match": {}, "spawn": ["\\u0024{lib\\u0065xecdir}/x"]}]}')
        tree.package("q", {"conditions": [{"path-exists": "${libexecdir}/there"}]})
        (tree.root / "there").touch()
        catalog = tree.load(libexec=lambda: str(tree.root))
        assert names(catalog) == ["p", "q"]
        assert catalog.rules[0].spawn == (f"{tree.root}/x",)

    def test_the_system_is_asked_only_if_a_manifest_wants_it_and_once(self, tree: Tree) -> None:
        asked: list[int] = []

        def libexec() -> str:
            asked.append(1)
            return "/l"

        tree.package("p", {"a": "${libexec}"})
        tree.load(libexec=libexec)
        assert asked == []
        tree.package("q", {"a": ["${libexecdir}", "${libexecdir}"]})
        tree.package("r", {"a": "${libexecdir}"})
        tree.load(libexec=libexec)
        assert asked == [1]


@pytest.mark.parametrize(
    "arguments", [{"generation": "x"}, {"generation": ""}, {"max_depth": 0}, {"max_depth": 100_000}]
)
def test_bad_arguments_are_the_callers_mistake(tree: Tree, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        tree.load(**arguments)
