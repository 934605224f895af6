"""Payload `fslist1`: the names in a directory, and what happens to them (docs/files.md, "fslist1")."""

import errno
import os
from collections.abc import Generator
from typing import Any, Final

from spanbridge.protocol.problems import NOT_FOUND, Problem

from ..base import Port, Services
from ..served.channel import Channel
from ..served.options import Options
from .asked import Asked
from .json_text import json_bytes
from .kinds import kind_of
from .paths import listed, path_option, shown
from .shared import end_later
from .steps import Steps

_BATCH: Final = 512  # entries for one thread, and in one turn


def fslist(port: Port, message: dict[str, Any], services: Services) -> Channel:
    """Serves an open. Raises Problem."""
    options = Options(message)
    channel = Channel(port, options, services)
    watch = options.boolean("watch", True)

    async def answer(asked: Asked) -> None:
        if watch:
            await _list_and_watch(asked)
        else:
            await _list(asked)
            asked.channel.done()
            asked.channel.close()

    return channel.serve(Asked(channel, services, path_option(options), answer))


async def _list_and_watch(asked: Asked) -> None:
    from .event_watch import EventWatch  # which brings what many lists never need

    watch = EventWatch(asked)
    try:
        await watch.begin()
        await _list(asked)
        await watch.run()
    finally:
        watch.close()


async def _list(asked: Asked) -> None:
    steps = Steps(_entries(asked.path))
    ready = False
    try:
        while (messages := await asked.jobs.run(steps.next)) is not None:
            if not ready:
                asked.channel.ready()
                ready = True
            await asked.send_units(messages)
    except BaseException:
        end_later(asked.services, steps.shared)
        raise


def _entries(path: bytes) -> Generator[list[bytes], None, None]:
    """A message for each entry, some at a time; none, but once, for an empty directory. Raises OSError, Problem."""
    try:
        directory = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | os.O_DIRECTORY)
    except NotADirectoryError:
        raise Problem(NOT_FOUND, f"{shown(path)}: {os.strerror(errno.ENOTDIR)}") from None
    try:
        with os.scandir(directory) as entries:
            messages: list[bytes] = []
            for entry in entries:
                messages.append(json_bytes({"event": "present", "path": listed(entry.name), "type": kind_of(entry)}))
                if len(messages) == _BATCH:
                    yield messages
                    messages = []
        yield messages
    finally:
        os.close(directory)
