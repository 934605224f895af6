"""What `fsinfo` and the older payloads share to watch: the session's inotify, and what file systems tell."""

from collections.abc import Callable

from ..base import Services
from ..session_inotify import inotify_of
from .filesystems import FileSystems
from .following import Follower


class Watching:
    """One for a session (Services.once)."""

    def __init__(self, services: Services) -> None:
        self._inotify = inotify_of(services)
        self._file_systems = FileSystems()
        self._loop = services.context.loop
        self._log = services.context.log
        self.look_seconds = services.context.limits.watch_look_seconds
        """How often a path is looked at whose changes nobody tells."""
        self._told: set[str] = set()  # limits that were logged

    def follow(self, path: bytes, on_event: Callable[[int, bytes | None], None]) -> Follower:
        """A follower of `path` (following.Follower), which is not walked yet."""
        return Follower(self._inotify, self._file_systems, path, on_event, self._limited)

    def _limited(self, limit: str) -> None:
        self._loop.call_soon_threadsafe(self._log_limit, limit)

    def _log_limit(self, limit: str) -> None:
        if limit not in self._told:
            self._told.add(limit)
            self._log.warning("no-more-watches", limit=limit, looked_at_every_seconds=self.look_seconds)
