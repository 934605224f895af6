"""`spanbridge schema`: what is shipped is what the Structs make, and what it says of manifests is true."""

import json
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from spanbridge.manifests.load import load
from spanbridge.manifests.written import MEMBERS, schema
from spanbridge.operator.schema import FILE, text
from spanbridge.testing.home import Home

from ..docs.pages import ROOT
from ..manifests.manifest_tree import properties
from ..manifests.test_docs_manifests import BLOCKS
from ..missing import lack
from .checking import run

DEBIAN = Path("/usr/share/cockpit")
VALIDATOR = Draft202012Validator(schema())


def errors(manifest: Any) -> list[str]:
    """Where in the manifest something is wrong."""
    return sorted({error.json_path for error in VALIDATOR.iter_errors(manifest)})


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema())


def test_what_is_shipped_is_what_is_generated() -> None:
    """To write it anew: spanbridge schema > bridge/operator/manifest.schema.json"""
    assert FILE.read_text() == text()


def test_it_is_in_the_wheel() -> None:
    """All that is in the package's directory is, but for the links to the two others."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    build = project["tool"]["hatch"]["build"]
    assert build["targets"]["wheel"]["only-include"] == ["bridge", "protocol", "manifests"]
    assert build["targets"]["wheel"]["exclude"] == ["/bridge/protocol", "/bridge/manifests"]
    assert FILE.resolve().is_relative_to(ROOT / "bridge")


def test_it_is_printed(home: Home) -> None:
    done = run(home, "schema")
    assert (done.returncode, done.stdout, done.stderr) == (0, FILE.read_text(), "")


def test_its_place_is_printed(home: Home) -> None:
    done = run(home, "schema", "--url")
    url = urlparse(done.stdout.strip())
    assert (done.returncode, url.scheme) == (0, "file")
    assert Path(unquote(url.path)).samefile(FILE)


@pytest.mark.parametrize("arguments", [["x"], ["--no-such-option"]])
def test_bad_arguments(home: Home, arguments: list[str]) -> None:
    done = run(home, "schema", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert arguments[0] in done.stderr


@pytest.mark.cockpit
def test_debian_manifests_are_valid() -> None:
    found = sorted(DEBIAN.glob("*/manifest.json"))
    if not found:
        lack("missing: cockpit's pages", "cockpit-system")
    assert {path.parent.name: errors(json.loads(path.read_text())) for path in found} == {
        path.parent.name: [] for path in found
    }


@pytest.mark.parametrize("kind", ["json manifest", "json broken"])
def test_the_examples_of_the_docs(kind: str) -> None:
    manifests = [json.loads(block.text) for block in BLOCKS if block.kind == kind]
    assert manifests
    assert all(bool(errors(manifest)) == (kind == "json broken") for manifest in manifests)


VALID: dict[str, dict[str, Any]] = {
    "nothing": {},
    "$schema": {"$schema": "file:///x"},
    "members of its own": {"x": 1, "settings": {}},
    "an escaped variable in a privileged one": {"bridges": [{"privileged": True, "spawn": ["a", "\\${x}"]}]},
    "libexecdir in a privileged one": {"bridges": [{"privileged": True, "spawn": ["${libexecdir}/x"]}]},
    "privileged: false": {"bridges": [{"privileged": False, "match": {}, "spawn": ["x"]}]},
    "variables": {
        "bridges": [{"match": {"a": None}, "spawn": ["${a}"], "environ": ["X_${a}=${b}"], "directory": "${c}"}]
    },
    "any": {"conditions": [{"any": [{"path-exists": "/"}, {"any": [{"path-not-exists": "/"}]}]}]},
}


@pytest.mark.parametrize("what", VALID)
def test_valid(what: str) -> None:
    assert errors(VALID[what]) == []


INVALID: dict[str, tuple[Any, str]] = {
    "no object": ([], "$"),
    "name": ({"name": "a b"}, "$.name"),
    "priority": ({"priority": True}, "$.priority"),
    "conditions": ({"conditions": {}}, "$.conditions"),
    "a misspelt condition": ({"conditions": [{"path-not-exist": "/"}]}, "$.conditions[0]"),
    "two in one": ({"conditions": [{"path-exists": "/", "path-not-exists": "/"}]}, "$.conditions[0]"),
    "an empty one": ({"conditions": [{}]}, "$.conditions[0]"),
    "any of nothing": ({"conditions": [{"any": []}]}, "$.conditions[0].any"),
    "wrong within any": ({"conditions": [{"any": [{"path-exists": 1}]}]}, "$.conditions[0].any[0]['path-exists']"),
    "a version": ({"requires": {"cockpit": "new"}}, "$.requires.cockpit"),
    "another requirement": ({"requires": {"podman": "1"}}, "$.requires"),
    "no spawn": ({"bridges": [{"match": {}}]}, "$.bridges[0]"),
    "no match": ({"bridges": [{"spawn": ["x"]}]}, "$.bridges[0]"),
    "an empty spawn": ({"bridges": [{"match": {}, "spawn": []}]}, "$.bridges[0].spawn"),
    "an empty command": ({"bridges": [{"match": {}, "spawn": [""]}]}, "$.bridges[0].spawn[0]"),
    "a misspelt member": ({"bridges": [{"match": {}, "spawn": ["x"], "timout": 1}]}, "$.bridges[0]"),
    "environ": ({"bridges": [{"match": {}, "spawn": ["x"], "environ": ["A"]}]}, "$.bridges[0].environ[0]"),
    "a negative timeout": ({"bridges": [{"match": {}, "spawn": ["x"], "timeout": -1}]}, "$.bridges[0].timeout"),
    "privileged with match": ({"bridges": [{"privileged": True, "match": {}, "spawn": ["x"]}]}, "$.bridges[0]"),
    "privileged with a variable": (
        {"bridges": [{"privileged": True, "spawn": ["x", "${a}"]}]},
        "$.bridges[0].spawn[1]",
    ),
}


@pytest.mark.parametrize("what", INVALID)
def test_invalid(what: str) -> None:
    manifest, path = INVALID[what]
    assert errors(manifest) == [path]


def test_every_member_says_what_it_is_for() -> None:
    """In what an editor shows."""
    made = schema()
    definitions = made["$defs"]
    assert set(definitions["Manifest"]["properties"]) == MEMBERS
    for name in ("Manifest", "Bridge", "Condition", "Requires"):
        for member, told in definitions[name]["properties"].items():
            assert "description" in told or "description" in definitions[told["$ref"].rpartition("/")[2]], member


TEXT = st.sampled_from(["", "/", "x", "A=1", "${x}", "${x}=${y}", "a b", "1.2", "${libexecdir}/x", "\\${x}"])
VALUE = st.none() | st.booleans() | st.integers(-2, 2) | TEXT
ANY = VALUE | st.lists(VALUE, max_size=2) | st.dictionaries(TEXT, VALUE, max_size=2)
BRIDGE = st.fixed_dictionaries(
    {"spawn": st.lists(TEXT, max_size=2) | VALUE},
    optional={
        "match": st.dictionaries(TEXT, VALUE, max_size=2) | VALUE,
        "environ": st.lists(TEXT, max_size=2) | VALUE,
        "directory": VALUE,
        "problem": VALUE,
        "timeout": VALUE,
        "privileged": VALUE,
        "label": VALUE,
    },
)
CONDITION = st.dictionaries(st.sampled_from(["path-exists", "path-not-exists", "any"]), ANY, max_size=2)


@properties
@given(
    manifest=st.fixed_dictionaries(
        {},
        optional={
            "name": VALUE,
            "priority": VALUE,
            "conditions": st.lists(CONDITION, max_size=2) | VALUE,
            "requires": st.dictionaries(st.just("cockpit"), VALUE) | VALUE,
            "bridges": st.lists(BRIDGE, max_size=2),
        },
    )
)
def test_it_is_of_one_mind_with_the_loader(tmp_path_factory: pytest.TempPathFactory, manifest: dict[str, Any]) -> None:
    """Valid is what loads without a defect; but an `any` of nothing loads, and never holds."""
    root = tmp_path_factory.mktemp("tree")
    path = root / "cockpit/test/manifest.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(manifest))
    environ = {"HOME": str(root), "XDG_DATA_DIRS": str(root), "XDG_CONFIG_DIRS": str(root)}
    catalog = load(environ, generation="300", askpass="/a")
    unmet = [each for each in catalog.hidden if not each.reason.startswith("unusable")]
    if '"any": []' in json.dumps(manifest) or unmet:
        return
    assert bool(errors(manifest)) == bool(catalog.defects)
