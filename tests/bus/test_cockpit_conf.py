"""cockpit.conf as text (docs/internal-bus.md, "/config")."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.log import Log
from spanbridge.payloads.bus.cockpit_conf import CockpitConf, config_directories, parse

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
    assert parse(text.encode()) == (expected, [])


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"nonsense", "expected Key=value, found nonsense"),
        (b"A: 1", "expected Key=value, found A: 1"),
        (b"=1", "expected Key=value, found =1"),
        (b"A=\xff", "expected UTF-8, found byte 0xff"),
        (b"\0\x1b", "expected text, found a NUL"),
        (b"A=x\0", "expected text, found a NUL"),
        (b"[T", "expected [Section] and nothing else, found [T"),
        (b"[T] # of \xff", "expected UTF-8, found byte 0xff"),
        (b"[T] # of T", "expected [Section] and nothing else, found [T] # of T"),
    ],
)
def test_a_malformed_line_costs_that_line_alone(line: bytes, told: str) -> None:
    values, wrong = parse(b"[S]\nBefore=1\n" + line + b"\nAfter=2\n")
    assert values == {("s", "before"): "1", ("t" if line.startswith(b"[T") else "s", "after"): "2"}
    ((number, why),) = wrong
    assert number == 3
    assert told in why


@pytest.mark.parametrize("text", [b"; comment\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf# x\n", b"A=1\n", b"# caf\xe9\n"])
def test_what_may_stand_before_the_first_section(text: bytes) -> None:
    values, _ = parse(text + b"[Session]\n;IdleTimeout=1\nIdleTimeout=15\n")
    assert values == {("session", "idletimeout"): "15"}


def test_what_is_too_long_is_cut_at_a_line() -> None:
    data = b"[S]\nA=1\n" + b"#" * (1 << 20) + b"\nB=2\n"
    expected = "expected at most 1048576 bytes in all, the rest is left out"
    assert parse(data) == ({("s", "a"): "1"}, [(3, expected)])


@examples(100)
@given(st.binary() | st.text(st.sampled_from("[]=# \nabS;:%\0")).map(str.encode))
def test_any_bytes_are_a_configuration(data: bytes) -> None:
    values, _ = parse(data)
    assert all(section == section.lower() and key == key.lower() for section, key in values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("15", 15), ("15 ; minutes", 15), ("15\t# minutes", 15), ("999", 100), ("15 min", 5), ("-1", 5)],
)
def test_a_number(tmp_path: Path, text: str, expected: int, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cockpit").mkdir()
    (tmp_path / "cockpit/cockpit.conf").write_text(f"[Session]\nIdleTimeout={text}\n")
    services = SimpleNamespace(environ={"XDG_CONFIG_DIRS": str(tmp_path)}, context=SimpleNamespace(log=Log()))
    assert CockpitConf(cast("Any", services)).number("Session", "IdleTimeout", 5, 100, 0) == expected
    assert ("error: cockpit.conf" in capfd.readouterr().err) == (expected == 5)


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
