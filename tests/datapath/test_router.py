"""Who is asked to serve an open, against a list that is walked from top to bottom (bridge/session/router.py)."""

from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.helpers.life import ENDING, GONE, QUEUED, READY, STARTING, TRANSITIONS
from spanbridge.manifests.model import Rule
from spanbridge.manifests.router import Router
from spanbridge.protocol.problems import PROTOCOL_ERROR, Problem
from spanbridge.session.router import normalise

from ..protocol.determined import examples

OWN = "localhost"

# Rules and opens from the same few words, so that they meet.
names = st.sampled_from(["payload", "host", "user", "tag", "superuser"])
words = st.sampled_from(["", "a", "ab", "b", "stream"])
values = st.one_of(words, st.booleans(), st.integers(0, 2), st.none(), st.lists(words, max_size=1))
patterns = st.one_of(values, st.sampled_from(["*", "a*", "?", "*b", "?b", "s*m", "**"]))
rules = st.lists(st.dictionaries(names, patterns, max_size=3), max_size=12).map(
    lambda matches: [Rule("test", at, "", match, ("x", str(at))) for at, match in enumerate(matches)]
)
opens = st.dictionaries(names, values, max_size=5)
hosts = st.one_of(
    st.sampled_from([OWN, "other", "a", f"{OWN}+key+value", "other+key+value", "other+key+", "h+k+v+w", "h+k", "h+"]),
    st.sampled_from(["", "+key+value", "h++value", "++"]),
    st.one_of(st.none(), st.integers(), st.booleans(), st.lists(st.just("h"))),
)


def takes(rule: Rule, message: dict[str, Any]) -> bool:
    """The rule as docs/manifests.md has it, with nothing prepared."""
    assert rule.match is not None
    if "host" in message and "host" not in rule.match:
        return False
    return all(name in message and fits(wanted, message[name]) for name, wanted in rule.match.items())


def fits(wanted: Any, value: Any) -> bool:
    if wanted is None:
        return True
    if isinstance(wanted, str):
        return isinstance(value, str) and fnmatchcase(value, wanted)
    return type(wanted) is type(value) and bool(wanted == value)


@examples(200)
@given(rules, opens)
def test_rules_are_tried_in_order(rules: list[Rule], message: dict[str, Any]) -> None:
    router = Router(rules)
    found, at = [], -1
    while (at := router.find(message, at)) >= 0:
        found.append(at)
    assert found == [at for at, rule in enumerate(rules) if takes(rule, message)]
    for at in found:
        plan = router.plan(at)
        assert plan.rule is rules[at]
        assert plan.identity == rules[at].identity
        assert router.plan(at) is plan


@examples(60)
@given(rules, rules, opens)
def test_the_search_goes_on_after_a_reload(before: list[Rule], after: list[Rule], message: dict[str, Any]) -> None:
    """Behind the rule that was tried, where it still stands; else from the top."""
    old, new = Router(before), Router(after)
    tried = old.find(message)
    if tried < 0:
        return
    identity = old.plan(tried).identity
    places = [at for at, rule in enumerate(after) if rule.identity == identity]
    assert new.position(identity) == (places[0] if places else -1)
    left = [at for at, rule in enumerate(after) if at > new.position(identity) and takes(rule, message)]
    assert new.find(message, new.position(identity)) == (left[0] if left else -1)


@examples(150)
@given(opens, hosts)
def test_hosts_are_normalised(others: dict[str, Any], host: Any) -> None:
    message = {**others, "host": host}
    given_message = dict(message)
    expected = slowly_normalised(dict(message))
    if expected is None:
        with pytest.raises(Problem, match="expected") as caught:
            normalise(message, OWN)
        assert caught.value.code == PROTOCOL_ERROR
    else:
        assert normalise(message, OWN) == expected
    assert message == given_message


def slowly_normalised(message: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """As it is matched and as it is forwarded; None: no host at all."""
    host = message["host"]
    if not isinstance(host, str) or host == "":
        return None
    if host.count("+") >= 2:
        name, key, value = host[: host.index("+")], host.split("+")[1], host.split("+", 2)[2]
        if not name or not key:
            return None
        message["host"] = name
        message.setdefault("host-" + key, value)
    forwarded = dict(message)
    if message["host"] == OWN:
        del message["host"]
    return message, forwarded


@examples(50)
@given(opens.filter(lambda message: "host" not in message))
def test_without_a_host_nothing_changes(message: dict[str, Any]) -> None:
    matched, forwarded = normalise(message, OWN)
    assert matched is forwarded is message


@pytest.mark.parametrize("host", [OWN, "other"])
def test_what_is_forwarded_unchanged_is_the_same_object(host: str) -> None:
    """By that the bridge knows that it may pass the frame on as it came."""
    message = {"host": host, "payload": "a"}
    assert normalise(message, OWN)[1] is message


def test_a_member_that_is_there_is_kept() -> None:
    matched, forwarded = normalise({"host": "h+key+value", "host-key": "mine"}, OWN)
    assert matched == forwarded == {"host": "h", "host-key": "mine"}


def test_the_states_of_a_helper() -> None:
    """From each state that is not the last one there is a way to it, and none back."""
    order = [QUEUED, STARTING, READY, ENDING, GONE]
    for (before, _), after in TRANSITIONS.items():
        assert order.index(before) < order.index(after)
    for state in order[:-1]:
        reached = {state}
        for _ in order:
            reached |= {after for (before, _), after in TRANSITIONS.items() if before in reached}
        assert GONE in reached
    for state in (QUEUED, STARTING, READY):
        assert TRANSITIONS[state, "end"] == ENDING
    assert not any(before == GONE for before, _ in TRANSITIONS)
