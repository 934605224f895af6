"""What os-release(5) says, in good files and bad ones."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.os_release import MAX_BYTES, read_os_release

GOOD = """\
# a comment

NAME="Some Linux"
ID=some
VERSION_ID='9.1'
ANSI_COLOR="0;31"
EMPTY=
QUOTED_EMPTY=""
ESCAPES="a \\"b\\" \\$HOME \\`c\\` \\\\ \\n"
  INDENTED=yes
DOS="line end"\r
"""


def read(path: Path, content: bytes) -> dict[str, str]:
    path.write_bytes(content)
    return read_os_release([str(path)])


def test_assignments(tmp_path: Path) -> None:
    assert read(tmp_path / "os-release", GOOD.encode()) == {
        "NAME": "Some Linux",
        "ID": "some",
        "VERSION_ID": "9.1",
        "ANSI_COLOR": "0;31",
        "EMPTY": "",
        "QUOTED_EMPTY": "",
        "ESCAPES": 'a "b" $HOME `c` \\ \\n',
        "INDENTED": "yes",
        "DOS": "line end",
    }


@pytest.mark.parametrize(
    "line",
    [
        "no assignment",
        "=x",
        "1A=x",
        "A B=x",
        "A=b c",
        "A=$(b)",
        "A=b\\c",
        'A="b',
        "A='b",
        'A="b" c',
        "A='b'c'",
        'A="',
        "A=\xff",
    ],
)
def test_a_bad_line_is_passed_over(tmp_path: Path, line: str) -> None:
    content = b"ID=some\n" + line.encode("latin-1") + b"\nNAME=Some\n"
    assert read(tmp_path / "os-release", content) == {"ID": "some", "NAME": "Some"}


def test_the_last_of_two_assignments_counts(tmp_path: Path) -> None:
    assert read(tmp_path / "os-release", b"ID=a\nID=b\n") == {"ID": "b"}


def test_the_first_file_that_can_be_read_counts(tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.write_text("ID=second\n")
    (tmp_path / "link").symlink_to("nothing")
    absent = [str(tmp_path / "absent"), str(tmp_path / "link"), str(tmp_path), "a\0b"]
    assert read_os_release([*absent, str(second)]) == {"ID": "second"}
    assert read_os_release(absent) == {}
    assert read_os_release([]) == {}


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.write_text("ID=second\n")
    empty = tmp_path / "empty"
    empty.touch()
    assert read_os_release([str(empty), str(second)]) == {}


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    assert read_os_release([str(path)]) == {}


def test_of_a_file_without_end_whole_lines_are_read(tmp_path: Path) -> None:
    lines = b"".join(b"N%d=%d\n" % (number, number) for number in range(MAX_BYTES // 4))
    found = read(tmp_path / "os-release", lines)
    assert 0 < len(found) < MAX_BYTES
    assert all(name == f"N{value}" for name, value in found.items())


@given(st.binary(max_size=200))
def test_no_content_is_an_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    found = read(tmp_path_factory.getbasetemp() / "any-os-release", content)
    assert all(isinstance(value, str) for value in found.values())
