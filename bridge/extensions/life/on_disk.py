"""One extension, as it lies on disk."""

import os
from typing import Final

import msgspec

from .permissions import NOTHING, Permissions

PYTHON: Final = (".py",)


class Found(msgspec.Struct, frozen=True):
    """One extension, as it lies on disk."""

    name: str
    path: str
    version: str = ""
    main: str = ""
    """Absolute."""
    asks: Permissions = NOTHING
    always: bool = False
    """It is started with the host."""
    broken: str = ""
    """What is wrong, with file and member; then nothing else counts."""
    fingerprint: int = 0
    """Another when anything in the directory has changed."""

    @property
    def real_path(self) -> str:
        """The directory with all links followed."""
        return os.path.realpath(self.path)

    @property
    def language(self) -> str:
        return "python" if self.main.endswith(PYTHON) else "javascript"
