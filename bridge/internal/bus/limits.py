"""Every limit of the internal bus, in one place."""

from typing import Final

MESSAGE_BYTES: Final = 4 << 20
"""Longest message taken from the front end."""

ANSWER_BYTES: Final = 1 << 20
"""Bytes that one channel sends before it waits until the front end has taken them."""

BACKLOG_BYTES: Final = 8 << 20
"""Messages of one channel that wait meanwhile; more close it."""

CALLS: Final = 256
"""Calls of one channel that are not answered yet."""

WATCHES: Final = 1_024
"""Watches of one channel, and separately its matches; one that is asked for twice counts once."""

DESCRIBED: Final = 1_024
"""Interfaces that the front end may describe on one channel (`meta`)."""

MACHINE_FILES: Final = 1_024
"""Files of cockpit/machines.d that are read."""

FILE_BYTES: Final = 1 << 20
"""Largest cockpit.conf, file of cockpit/machines.d, or text of login messages."""

FILE_DEPTH: Final = 8
"""How deep lists and objects may nest in a file of cockpit/machines.d."""
