"""Conditions that can hold nowhere: against every machine of a small world. What is said of each: test_check.py."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from spanbridge.operator.checking.contradiction import contradictions

from ..manifests.manifest_tree import properties

CONDITIONS = st.recursive(
    st.builds(
        lambda predicate, path: {predicate: path},
        st.sampled_from(["path-exists", "path-not-exists"]),
        st.sampled_from(["/", "/a", "/a/", "/a/.", "/a/b", "/c", ""]),
    ),
    lambda inner: st.builds(lambda each: {"any": each}, st.lists(inner, max_size=3)),
    max_leaves=5,
)
DIRECTORY = {"/a", "/a/", "/a/."}  # what a directory is there as; a file is not with a slash at its end
BELOW_THE_ROOT: list[set[str]] = [set(), {"/a"}, DIRECTORY, {*DIRECTORY, "/a/b"}]
MACHINES = [{"/"} | files | more for files in BELOW_THE_ROOT for more in (set(), {"/c"})]


def holds(condition: dict[str, Any], files: set[str]) -> bool:
    ((predicate, value),) = condition.items()
    if predicate == "any":
        return any(holds(each, files) for each in value)
    return (value in files) == (predicate == "path-exists")


@properties
@given(conditions=st.lists(CONDITIONS, max_size=4))
def test_conditions_that_contradict_hold_nowhere(conditions: list[dict[str, Any]]) -> None:
    possible = any(all(holds(each, files) for each in conditions) for files in MACHINES)
    assert not (contradictions(conditions) and possible)


def test_a_slash_at_the_end_is_a_directory() -> None:
    there = {"path-exists": "/a"}
    assert not contradictions([there, {"path-not-exists": "/a/"}])  # a file
    assert contradictions([{"path-exists": "/a/"}, {"path-not-exists": "/a"}])
    assert contradictions([{"path-exists": "/a/b"}, {"path-not-exists": "/a/"}])


def test_many_conditions() -> None:
    """No test of each against each, which would not end."""
    conditions = [{"path-not-exists": f"/a/{number}"} for number in range(50_000)]
    conditions += [{"path-exists": f"/b/{number}/c"} for number in range(50_000)]
    conditions += [{"path-not-exists": "/b/5/"}]
    (found,) = contradictions(conditions)
    assert found.path == ("conditions", 100_000, "path-not-exists")
    assert '"/b/5/c"' in found.message
