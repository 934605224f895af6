"""What is done to the pieces of a body on their way."""

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanbridge.payloads.packages.bodies import bytes_body, file_body, joined
from spanbridge.payloads.packages.bounds import MESSAGE_BYTES
from spanbridge.payloads.packages.gunzip import BadGzipError, gunzip


def cut(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    """`data` in pieces of these sizes, over and over."""
    position, index = 0, 0
    while position < len(data):
        size = sizes[index % len(sizes)]
        yield data[position : position + size]
        position += size
        index += 1


SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=5)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=3), SIZES, st.integers(1, 50))
def test_all_members_of_gzip_data_are_unpacked(members: list[bytes], sizes: list[int], size: int) -> None:
    data = b"".join(gzip.compress(member) for member in members)
    pieces = list(gunzip(cut(data, sizes), size))
    assert b"".join(pieces) == b"".join(members)
    assert all(0 < len(piece) <= size for piece in pieces)


@given(st.binary(min_size=1, max_size=100), st.binary(max_size=30), SIZES)
def test_what_follows_the_last_member_is_left_out(content: bytes, rest: bytes, sizes: list[int]) -> None:
    if rest.startswith(b"\x1f"):
        rest = b"." + rest
    assert b"".join(gunzip(cut(gzip.compress(content) + rest, sizes), 64)) == content


@given(st.binary(max_size=100), st.data(), SIZES)
def test_gzip_data_that_ends_early_is_told(content: bytes, data: st.DataObject, sizes: list[int]) -> None:
    whole = gzip.compress(content)
    short = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(BadGzipError):
        list(gunzip(cut(short, sizes), 64))


def test_a_small_file_that_unpacks_to_a_large_one_does_so_piece_by_piece() -> None:
    data = gzip.compress(bytes(10 << 20))
    pieces = gunzip([data], MESSAGE_BYTES)
    assert len(next(pieces)) == MESSAGE_BYTES
    assert sum(map(len, pieces)) == (10 << 20) - MESSAGE_BYTES


@settings(max_examples=20)
@given(st.integers(0, 3 * MESSAGE_BYTES))
def test_no_piece_is_longer_than_a_message(size: int) -> None:
    data = ("ä" * size).encode()[:size]
    assert all(len(piece) <= MESSAGE_BYTES for piece in bytes_body(data)())


def test_a_body_can_be_read_twice(tmp_path: Path) -> None:
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(b"x" * 100_000))
    descriptor = os.open(path, os.O_RDONLY)
    try:
        body = joined(file_body(descriptor, unpack=True), bytes_body(b"end"))
        assert [b"".join(body()) for _ in range(2)] == [b"x" * 100_000 + b"end"] * 2
    finally:
        os.close(descriptor)
