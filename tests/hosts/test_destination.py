"""The name of a host: what ssh is told of it, and what is refused before anything is started."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.helpers.hosts.destination import Destination, parse
from spanbridge.protocol.problems import NO_HOST, Problem

GOOD = {
    "far": (None, "far", None),
    "far.example.com": (None, "far.example.com", None),
    "far:2222": (None, "far", 2222),
    "alice@far": ("alice", "far", None),
    "alice@far:1": ("alice", "far", 1),
    "alice@corp@far:65535": ("alice@corp", "far", 65535),
    "corp\\alice@far": ("corp\\alice", "far", None),
    "[::1]": (None, "::1", None),
    "[fe80::1%eth0]:22": (None, "fe80::1%eth0", 22),
    "alice@[::1]:2222": ("alice", "::1", 2222),
    "::1": (None, "::1", None),
    "fe80::1%eth0": (None, "fe80::1%eth0", None),
    "alice@2001:db8::1": ("alice", "2001:db8::1", None),
    "h" * 255: (None, "h" * 255, None),
    "hôte": (None, "hôte", None),
    "100%@far": ("100%", "far", None),
}

BAD = [
    *("", "@far", "alice@", "alice@:22", ":22", "-oProxyCommand=x", "-l@far", "alice@-v", "--"),
    *("far:", "far:0", "far:65536", "far:ssh", "far:+22", "far: 22", "far:22x", "far:\u0662\u0662", "far:000022"),
    *("a:b:c", "1:2:3:22", "[far]", "[::1", "[::1]22", "[::1]:", "[::1]:x", "[]"),
    *("h" * 256, "u" * 256 + "@far", "é" * 128),
    *("far\n", "fa r", "far\t", "far\x00", "far\x7f", "far\x85", "far\u2003", "\ud800"),
    *(f"a{character}b" for character in "'\"`$;&<>|(){}"),
    *(f"a{character}b@far" for character in "'\"`$;&<>|(){}"),
    *("$(touch x)@far", "a\\b", "far\\", "alice\\@far", "%h", "far%eth0", "alice@%r"),
]


@pytest.mark.parametrize("host", GOOD)
def test_a_good_name(host: str) -> None:
    assert parse(host) == Destination(*GOOD[host])


@pytest.mark.parametrize("host", BAD, ids=ascii)
def test_a_bad_name(host: str) -> None:
    with pytest.raises(Problem) as caught:
        parse(host)
    assert caught.value.code == NO_HOST
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("user", ["", "-l", "a b", "$(x)", "a\\", "u" * 256])
def test_a_bad_user_beside_a_good_name(user: str) -> None:
    with pytest.raises(Problem):
        parse("far", user)


def test_the_user_that_is_given_wins() -> None:
    assert parse("alice@far:22", "bob") == Destination("bob", "far", 22)
    assert parse("far", "bob").text == "bob@far"
    assert parse("bob@[::1]:22").text == "bob@[::1]:22"


@given(st.text(), st.none() | st.text())
def test_what_is_taken_is_no_option_and_no_command(host: str, user: str | None) -> None:
    try:
        taken = parse(host, user)
    except Problem:
        return
    for part in (taken.name, taken.user):
        if part is not None:
            assert part
            assert not part.startswith("-")
            assert not set(part) & set("'\"`$;&<>|(){} \n\0")
    assert taken.port is None or 1 <= taken.port <= 65_535
