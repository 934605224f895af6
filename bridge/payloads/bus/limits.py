"""The limits of the internal bus that are no settings; the others are in bridge/limits.py, `bus_...`."""

from typing import Final

MESSAGE_BYTES: Final = 4 << 20
"""Longest message taken from the front end."""

ANSWER_BYTES: Final = 1 << 20
"""Bytes that one channel sends before it waits until the front end has taken them."""

MACHINE_FILES: Final = 1_024
"""Files of cockpit/machines.d that are read."""

FILE_BYTES: Final = 1 << 20
"""Largest cockpit.conf, file of cockpit/machines.d, or text of login messages."""

FILE_DEPTH: Final = 8
"""How deep lists and objects may nest in a file of cockpit/machines.d."""

ANSWER_SECONDS: Final = 30.0
"""How long the answer to a question of our own may take."""

WATCHES: Final = 65_536
"""Watches of one channel of a real bus, and separately its matches."""

OBJECTS: Final = 100_000
"""Under one watch."""

OUT_BYTES: Final = 16 << 20
"""So much waits towards the bus before the front end is read no more."""
