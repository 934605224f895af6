"""What the older payloads call the kinds of files."""

import os
import stat
from typing import Final

FILE: Final = "file"
DIRECTORY: Final = "directory"
LINK: Final = "link"
SPECIAL: Final = "special"

_KINDS: Final = {stat.S_IFREG: FILE, stat.S_IFDIR: DIRECTORY, stat.S_IFLNK: LINK}


def kind_at(path: bytes) -> str | None:
    """Of what is at `path`, links not followed; None if that cannot be looked at."""
    try:
        return _KINDS.get(stat.S_IFMT(os.lstat(path).st_mode), SPECIAL)
    except OSError:
        return None


def kind_of(entry: os.DirEntry[str]) -> str:
    """As the listing tells it."""
    try:
        if entry.is_symlink():
            return LINK
        if entry.is_dir(follow_symlinks=False):
            return DIRECTORY
        if entry.is_file(follow_symlinks=False):
            return FILE
    except OSError:  # the listing tells no kinds, and it is gone
        return FILE
    return SPECIAL
