"""Which signals and changes a channel has asked for (docs/internal-bus.md, "Signals")."""

from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.payloads.bus.matches import Counted, Full, Match, Watch

from ..protocol.determined import examples

NAMES = ["a", "b", "ab"]
PATHS = st.lists(st.sampled_from(NAMES), max_size=3).map(lambda names: "/" + "/".join(names))
WORDS = st.sampled_from(NAMES)
MATCHES = st.builds(
    Match,
    path=st.none() | PATHS,
    path_namespace=st.none() | PATHS,
    interface=st.none() | WORDS,
    member=st.none() | WORDS,
    arg0=st.none() | WORDS,
)


def slowly(match: Match, path: str, interface: str, member: str, arg0: str | None) -> bool:
    """The same by the letter of the D-Bus Specification, "Match Rules"."""
    namespace = match.path_namespace
    return not (
        (match.path is not None and match.path != path)
        or (namespace is not None and not (path + "/").startswith(namespace.rstrip("/") + "/"))
        or (match.interface is not None and match.interface != interface)
        or (match.member is not None and match.member != member)
        or (match.arg0 is not None and match.arg0 != arg0)
    )


@examples(100)
@given(MATCHES, PATHS, WORDS, WORDS, st.none() | WORDS)
def test_all_that_is_given_must_fit(match: Match, path: str, interface: str, member: str, arg0: str | None) -> None:
    expected = slowly(match, path, interface, member, arg0)
    assert match.fits(path, interface, member, arg0) == expected
    assert match.reaches(path) or not expected
    watch = Watch(match.path, match.path_namespace, match.interface)
    anything = Match(match.path, match.path_namespace, match.interface)
    assert watch.fits(path, interface) == slowly(anything, path, interface, member, arg0)
    assert watch.reaches(path) == match.reaches(path)


@examples(100)
@given(st.lists(st.tuples(st.booleans(), MATCHES)))
def test_what_was_asked_for_twice_is_taken_back_twice(steps: list[tuple[bool, Match]]) -> None:
    asked: Counted[Match] = Counted(1_000)
    expected: Counter[Match] = Counter()
    for add, match in steps:
        if add:
            asked.add(match)
            expected[match] += 1
        else:
            asked.remove(match)
            expected[match] = max(0, expected[match] - 1)
    assert set(asked) == {match for match, count in expected.items() if count}


def test_there_is_a_limit_of_different_ones() -> None:
    asked: Counted[Watch] = Counted(2)
    first, second, third = Watch("/1"), Watch("/2"), Watch("/3")
    for watch in (first, second, first, second):
        asked.add(watch)
    with pytest.raises(Full):
        asked.add(third)
    asked.remove(first)
    with pytest.raises(Full):
        asked.add(third)
    asked.remove(first)
    asked.add(third)
    assert set(asked) == {second, third}


def test_unknown_members_are_refused() -> None:
    for kind in (Match, Watch):
        with pytest.raises(msgspec.ValidationError, match="unknown field `sender`"):
            msgspec.convert({"sender": "a"}, kind)
    assert msgspec.convert({"path": None}, Watch) == Watch()
