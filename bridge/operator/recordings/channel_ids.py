"""The ids of channels that the other side chooses: those of now beside those of the recording.

A front end numbers its channels as it likes, each time anew: by id, no second page would be served from a recording.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from .recording import Record


class ChannelIds:
    """`expected`: what the other side had sent. Its opens are paired with those that come.

    Each with the first that is left of the same members but the id, else with the first that is left at all.
    """

    def __init__(self, expected: Iterable[Record]) -> None:
        self._left = [record.message for record in expected if record.message is not None and _opens(record.message)]
        self._recorded: dict[str, str] = {}  # by the id of now
        self._now: dict[str, str] = {}  # by the recorded id

    def recorded(self, got: Record) -> Record:
        """What came, with the id that its channel had in the recording."""
        message = got.message
        if message is not None and self._left and _opens(message):
            same = (at for at, each in enumerate(self._left) if {**each, "channel": message["channel"]} == message)
            was: str = self._left.pop(next(same, 0))["channel"]
            self._recorded[message["channel"]] = was
            self._now[was] = message["channel"]
        return _renamed(got, self._recorded)

    def now(self, record: Record) -> Record:
        """What is to be sent, with the id that its channel has now."""
        return _renamed(record, self._now)


def _opens(message: dict[str, Any]) -> bool:
    return message.get("command") == "open" and isinstance(message.get("channel"), str)


def _renamed(record: Record, ids: dict[str, str]) -> Record:
    message = record.message
    if message is None:
        channel = record.channel
        return record if channel not in ids else msgspec.structs.replace(record, channel=ids[channel])
    channel = message.get("channel")
    if not isinstance(channel, str) or channel not in ids:
        return record
    return msgspec.structs.replace(record, message={**message, "channel": ids[channel]})
