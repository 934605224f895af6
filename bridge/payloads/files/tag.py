"""The tag of a file: what tells one state of it from another. Front ends compare tags, and never read them."""

import os
from typing import Final

NO_FILE: Final = "-"
"""The tag of what is not there."""


def tag_of(found: os.stat_result) -> str:
    """Size and mode are in it since two writes may fall on one mtime."""
    return (
        f"1:{found.st_dev:x}:{found.st_ino:x}:{found.st_mtime_ns:x}:{found.st_size:x}"
        f":{found.st_mode:o}:{found.st_uid}:{found.st_gid}"
    )


def tag_at(path: bytes) -> str:
    """The tag of what is at `path` now, links followed; of what cannot be looked at, the tag of no file."""
    try:
        return tag_of(os.stat(path))
    except OSError:
        return NO_FILE
