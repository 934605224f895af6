"""Files that the cases read, in memory."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BIG, SMALL, NEW, FEW = "big", "small", "new", "few"
SMALL_BYTES = 100
ENTRIES = (10_000, 100_000)
WATCHED = 1_000

_BLOCK = 1 << 20


@contextmanager
def stage(big_bytes: int) -> Iterator[Path]:
    """A directory on a tmpfs with `big_bytes` of text in one file, a small one, and directories of many."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/dev/shm") as directory:
        root = Path(directory)
        with (root / BIG).open("wb") as big:
            for _ in range(big_bytes // _BLOCK):
                big.write(b"x" * _BLOCK)
        (root / SMALL).write_bytes(b"x" * SMALL_BYTES)
        _fill(root / FEW, 3)
        for count in ENTRIES:
            _fill(root / str(count), count)
        yield root


def _fill(directory: Path, count: int) -> None:
    directory.mkdir()
    for number in range(count):
        os.close(os.open(directory / f"file-{number:06}", os.O_CREAT | os.O_WRONLY, 0o644))
