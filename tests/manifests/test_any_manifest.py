"""Whatever a manifest or an override holds, loading it ends in a catalog, and what is offered can be used."""

import json
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from spanbridge.manifests.match import RuleIndex
from spanbridge.manifests.template import ExpansionError, compile_rule, expand

from .manifest_tree import Tree, properties

LONG = 10**400
"""More than a float can hold."""
TEXTS = st.sampled_from(
    ["", "x", "a*", "${a}", "\\${a}", "${libexecdir}/x", "A=${a}", "A${a}=1", "=", "/", "300", "\0"]
)
VALUES = st.recursive(
    st.sampled_from([None, True, False, -1, 0, 1, 0.5, LONG]) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "host", "cockpit"]), inner),
    max_leaves=5,
)
MATCHES = st.dictionaries(st.sampled_from(["a", "host"]), VALUES, max_size=2)
CONDITIONS = st.recursive(
    st.dictionaries(st.sampled_from(["path-exists", "path-not-exists", "any", "other"]), VALUES, max_size=2),
    lambda inner: st.fixed_dictionaries({"any": st.lists(inner, max_size=2)}),
    max_leaves=3,
)
ENTRIES = st.fixed_dictionaries(
    {"spawn": st.lists(TEXTS, min_size=1, max_size=3)},
    optional={
        "environ": st.lists(TEXTS, max_size=2),
        "directory": VALUES,
        "problem": VALUES,
        "timeout": VALUES,
        "privileged": VALUES,
        "label": VALUES,
        "match": MATCHES | VALUES,
        "unknown": VALUES,
    },
)
MANIFESTS = st.fixed_dictionaries(
    {},
    optional={
        "name": VALUES | st.just("p"),
        "priority": VALUES,
        "conditions": st.lists(CONDITIONS, max_size=2) | VALUES,
        "requires": VALUES,
        "require": VALUES,
        "bridges": st.lists(ENTRIES | VALUES, max_size=3) | VALUES,
    },
)
OPENS = st.dictionaries(st.sampled_from(["a", "host"]), VALUES, max_size=2)


@settings(properties, max_examples=50)
@given(MANIFESTS | VALUES, MANIFESTS | VALUES, st.integers(0, 2000), st.binary(max_size=2), OPENS)
def test_it_loads(manifest: Any, override: Any, cut: int, junk: bytes, message: dict[str, Any]) -> None:
    with TemporaryDirectory() as root:
        tree = Tree(Path(root))
        tree.package("a", manifest)
        tree.override("a", override)
        text = json.dumps(manifest).encode()
        tree.package("b", text[:cut] + junk + text[cut:])
        tree.package("c", {"bridges": [{"match": {}, "spawn": ["x"]}]})
        catalog = tree.load()
    assert {Path(package.path).name for package in catalog.packages} | {
        Path(hidden.path).name for hidden in catalog.hidden
    } == {"a", "b", "c"}
    for defect in catalog.defects:
        assert "\n" not in str(defect)
    for rule in RuleIndex(catalog.rules).candidates(message):
        with suppress(ExpansionError):
            expand(compile_rule(rule), message)
    for rule in catalog.privileged:
        assert compile_rule(rule).fixed is not None
