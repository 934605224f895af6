"""Messages that are like the last one are recognised by their bytes: what is cut out must be what would be decoded."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.protocol.alike import Alike
from spanbridge.protocol.control import read_message
from spanbridge.protocol.problems import Problem

IDS = st.sampled_from(["a", "b", "1:2!3", ":", ",", "channel", "open", ":1", ",a", '"', '"a', "\\", "é", "}", " "])
VALUES = IDS | st.integers(0, 1) | st.dictionaries(IDS, IDS, max_size=2)
MEMBERS = st.dictionaries(IDS, VALUES, max_size=2)
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" ,", " :")])


def decoded(payload: bytes) -> dict[str, Any] | None:
    try:
        return read_message(payload)[2]
    except Problem:
        return None


@given(MEMBERS, MEMBERS, SEPARATORS, st.lists(IDS, min_size=1, max_size=8), st.booleans())
def test_what_is_recognised_is_what_would_be_decoded(
    before: dict[str, Any], behind: dict[str, Any], separators: tuple[str, str], idents: list[str], anywhere: bool
) -> None:
    """Whatever stands around the channel, or is put in the place of its id `anywhere`."""
    told = json.dumps({**before, "channel": "MARK", **behind, "command": "open"}, separators=separators)
    alike, last = Alike(), {"channel": ""}
    for ident in ("first", "second", *idents):
        payload = told.replace("MARK" if anywhere else '"MARK"', ident if anywhere else json.dumps(ident)).encode()
        message, found = decoded(payload), alike.channel(payload)
        if found:
            assert message == {**last, "channel": found.decode()}
        elif message is not None:
            last = message
            alike.note(payload, message["channel"].encode())


def test_the_third_is_recognised() -> None:
    alike = Alike()
    for ident in (b"a", b"b"):
        payload = b'{"command":"open","channel":"%b","payload":"x"}' % ident
        assert alike.channel(payload) == b""
        alike.note(payload, ident)
    assert alike.channel(b'{"command":"open","channel":"4!1:3","payload":"x"}') == b"4!1:3"


@pytest.mark.parametrize(
    "payload",
    [
        b'{"command":"open","channel":"c","payload":"y"}',
        b'{"command":"open","channel":"c","payload":"x","payload":"x"}',
        b'{"command":"open","channel":"c","a":"b","payload":"x"}',
        b'{"command":"open","channel":"c\\n","payload":"x"}',
        b'{"command":"open","channel":"\xc3\xa9","payload":"x"}',
        b'{"command":"open","channel":"","payload":"x"}',
        b'{"command":"open","channel":""x"}',
        b"",
    ],
)
def test_another_one_is_not(payload: bytes) -> None:
    alike = Alike()
    for ident in (b"a", b"b"):
        alike.note(b'{"command":"open","channel":"%b","payload":"x"}' % ident, ident)
    assert alike.channel(payload) == b""
