"""The inotify instance of the session: a user may have only so many, and whoever watches anything shares it."""

from ..inotify import Inotify
from .base import Services


def inotify_of(services: Services) -> Inotify:
    """The session's only one (Services.once)."""
    return services.once(_make)


def _make(services: Services) -> Inotify:
    return Inotify(services.context.loop, services.context.limits.watched_directories)
