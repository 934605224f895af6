"""Payload `fsinfo`: what there is at a path, and how it changes (docs/files.md, "fsinfo").

The channel is one JSON value; each message is a JSON Merge Patch for it.
"""

from typing import Any

from spanbridge.protocol.problems import PROTOCOL_ERROR, Problem

from ..base import Port, Services
from ..served.channel import Channel
from ..served.options import Options
from .asked import Asked
from .attributes import KNOWN
from .look import Look, Wanted
from .paths import system_path
from .patterns import EVERY, LONGEST, matcher
from .telling import tell


def fsinfo(port: Port, message: dict[str, Any], services: Services) -> Channel:
    """Serves an open. Raises Problem."""
    options = Options(message)
    channel = Channel(port, options, services)
    wanted = _read(options, services.context.limits.info_entries)

    async def answer(asked: Asked) -> None:
        asked.channel.ready()
        if wanted.watch:
            from .info_watch import InfoWatch  # which brings what a single look does not need

            await InfoWatch(asked, wanted).run()
        else:
            await tell(asked, Look(wanted).changes(None))
            asked.channel.done()
            asked.channel.close()

    return channel.serve(Asked(channel, services, wanted.path, answer))


def _read(options: Options, most: int) -> Wanted:
    path = options.system("path", expected="an absolute path")
    if not path.startswith("/"):
        raise options.wrong("path", "an absolute path")
    attrs = options.texts("attrs")
    pattern = options.text("fnmatch", EVERY if "entries" in attrs else "")
    if len(pattern) > LONGEST:
        raise options.wrong("fnmatch", f"at most {LONGEST} characters", str(len(pattern)))
    follow, watch, targets = options.boolean("follow", True), options.boolean("watch"), "targets" in attrs
    if not follow and (watch or targets):
        other = "watch: true" if watch else 'attrs with "targets"'
        raise Problem(PROTOCOL_ERROR, f'"follow" of fsinfo: expected true with {other}, found false')
    return Wanted(
        path=system_path(path),
        attributes=tuple(name for name in KNOWN if name in attrs),
        entries=matcher(pattern) if pattern else None,
        targets=targets,
        follow=follow,
        watch=watch,
        most=most,
    )
