"""cockpit.conf as text (docs/internal-bus.md, "/config")."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.payloads.bus.cockpit_conf import config_directories, parse

from ..protocol.determined import examples


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("[S]\n", {}),
        ("[S]\nKey=Value\n", {("s", "key"): "Value"}),
        ("[S]\r\nA = 1 \r\n", {("s", "a"): "1"}),
        ("# c\n\n[S]\n  # c\n  A=1\n    B=2\n", {("s", "a"): "1", ("s", "b"): "2"}),
        ("[S]\nA=1\n[T]\nA=2\n[s]\na=3\n", {("s", "a"): "3", ("t", "a"): "2"}),
        ("[S]\nA=1\n[s]\nA=2\n[S]\nA=3\n", {("s", "a"): "3"}),
        ("[S]\nA=a=b # c ; d\n", {("s", "a"): "a=b # c ; d"}),
        (
            '[S]\nA="x"\nB=a\\nb\nC=%(A)s\nD=\nE=a: b\n',
            {
                ("s", "a"): '"x"',
                ("s", "b"): "a\\nb",
                ("s", "c"): "%(A)s",
                ("s", "d"): "",
                ("s", "e"): "a: b",
            },
        ),
        ("[DEFAULT]\nA=1\n[S]\nB=2\n", {("default", "a"): "1", ("s", "b"): "2"}),
        ("[ S ]\nA=1\n", {(" s ", "a"): "1"}),
        ("[S]\nName=J\u00f6rg\n", {("s", "name"): "J\u00f6rg"}),
    ],
)
def test_what_it_says(text: str, expected: dict[tuple[str, str], str]) -> None:
    assert parse(text.encode()) == expected


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"A=1\n", "no section headers"),
        (b"[S]\nnonsense\n", "nonsense"),
        (b"[S]\nA: 1\n", "A: 1"),
        (b"[S]\n; comment\n", "; comment"),
        (b"[S]\nA=\xff\n", "expected UTF-8, found byte 0xff at 6"),
        (b"#" * (1 << 20) + b"\n", "expected at most 1048576 bytes"),
    ],
)
def test_what_is_malformed_is_malformed_as_a_whole(data: bytes, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)) as caught:
        parse(data)
    assert "\n" not in str(caught.value)


@examples(100)
@given(st.binary() | st.text(st.sampled_from("[]=# \nabS;:%\0")).map(str.encode))
def test_any_bytes_are_a_configuration_or_an_error(data: bytes) -> None:
    try:
        values = parse(data)
    except ValueError:
        return
    assert all(section == section.lower() and key == key.lower() for section, key in values)


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        (None, ("/etc",)),
        ("", ("/etc",)),
        ("relative:", ("/etc",)),
        ("/a:/b/:/a::c:/", ("/a", "/b", "/")),
    ],
)
def test_the_directories(variable: str | None, expected: tuple[str, ...]) -> None:
    assert config_directories({} if variable is None else {"XDG_CONFIG_DIRS": variable}) == expected
