"""The limits of files that the internal bus reads; the others are settings, in bridge/limits.py."""

from typing import Final

MACHINE_FILES: Final = 1_024
"""Files of cockpit/machines.d that are read."""

FILE_BYTES: Final = 1 << 20
"""Largest cockpit.conf, file of cockpit/machines.d, or text of login messages."""

FILE_DEPTH: Final = 8
"""How deep lists and objects may nest in a file of cockpit/machines.d."""
