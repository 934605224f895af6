"""What `fsinfo` finds at a path, and what of that is news. All of it blocks: it runs in threads."""

import errno
import os
import stat
import sys
from collections.abc import Collection, Generator, Iterator
from typing import Final

import msgspec

from spanbridge.protocol.problems import INTERNAL_ERROR

from .attributes import KINDS, Attributes, Teller, read_link
from .digest import Digest
from .errors import code_of
from .patch import ENTRIES, TARGETS, Patch
from .paths import listed, system_path
from .patterns import Matches

_NOT_DIRECTORY: Final = "not-directory"
_GONE: Final = None
_UTF8: Final = sys.getfilesystemencoding() == "utf-8"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What an open asks for. `entries`: None if no names of a directory are wanted. `most`: entries."""

    path: bytes
    attributes: tuple[str, ...]
    entries: Matches | None
    targets: bool
    follow: bool
    watch: bool
    most: int


class _Refused(Exception):
    """There is an `error` in place of `info`."""

    def __init__(self, told: dict[str, str]) -> None:
        self.told = told


class Look:
    """Looks at a path, and remembers what was told of it. Used by one thread at a time."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._teller = Teller(wanted.attributes)
        self._info: Attributes | None = None  # as it was told, but for entries and targets
        self._error: dict[str, str] | None = None
        self._identity: tuple[int, int] | None = None
        self._entries: Digest | None = None  # None: none were told
        self._targets: Digest | None = None
        self._links: dict[str, str] = {}  # entry -> where it leads

    def changes(self, names: Collection[str] | None) -> Generator[bytes, None, None]:
        """What is to be told now, in messages: of these entries, and of the rest; None: of all entries."""
        patch = Patch(told=self._info is not None)
        place = directory = -1
        try:
            place = self._find()
            found = os.fstat(place)
            directory = self._listable(place, found)
            identity = (found.st_dev, found.st_ino)
            if identity != self._identity or (self._entries is None) != (directory < 0):
                names = None
            self._identity = identity
            self._tell_own(patch, found, place)
            if directory >= 0:
                yield from self._tell_directory(patch, directory, names)
            else:
                self._drop_directory(patch)
        except _Refused as refusal:
            self._tell_error(patch, refusal.told)
        except OSError as error:
            self._tell_error(patch, _error(error))
        finally:
            for fd in (place, directory):
                if fd >= 0:
                    os.close(fd)
        message = patch.take()
        if message is not None:
            yield message

    # The path itself

    def _find(self) -> int:
        """A descriptor to look at it with."""
        wanted = self._wanted
        if wanted.watch and not _may_read(wanted.path.rstrip(b"/") or b"/"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return os.open(wanted.path, os.O_PATH | os.O_CLOEXEC | (0 if wanted.follow else os.O_NOFOLLOW))

    def _listable(self, place: int, found: os.stat_result) -> int:
        """A descriptor to list the directory with; -1 where there is none to be listed."""
        if self._wanted.entries is None or not stat.S_ISDIR(found.st_mode):
            return -1
        try:
            return _reopen(place, self._wanted.path)
        except OSError:
            if self._wanted.watch:
                raise
            return -1

    def _tell_own(self, patch: Patch, found: os.stat_result, place: int) -> None:
        wanted = self._wanted
        now = self._teller.tell(found, wanted.path, None, follow=wanted.follow)
        before = self._info
        if before is None:
            patch.set_info(now)
        else:
            news = {name: now.get(name) for name in {**before, **now} if before.get(name) != now.get(name)}
            if news:
                patch.set_info(news)
        if self._error is not None:
            patch.set_error(None)
            self._error = None
        if before is None and not now:
            patch.set_info({})
        self._info = now

    def _tell_error(self, patch: Patch, told: dict[str, str]) -> None:
        patch.no_info()
        self._info = self._entries = self._targets = self._identity = None
        self._links.clear()
        if told != self._error:
            patch.set_error(told)
            self._error = told

    # Entries and targets

    def _drop_directory(self, patch: Patch) -> None:
        if self._entries is not None:
            patch.set_info({"entries": None})
        if self._targets is not None:
            patch.set_info({"targets": None})
        self._entries = self._targets = None
        self._links.clear()

    def _tell_directory(self, patch: Patch, directory: int, names: Collection[str] | None) -> Iterator[bytes]:
        if self._entries is None:
            self._entries = Digest(self._teller.names)
            patch.open_map(ENTRIES)
        found = self._listed(directory) if names is None else self._named(directory, names)
        seen: set[str] | None = set() if names is None and len(self._entries) else None
        changed = False
        for name, now in found:
            if seen is not None and now is not None:
                seen.add(name)
            message, news = self._note(patch, ENTRIES, self._entries, name, now)
            changed = changed or news
            if message is not None:
                yield message
        if seen is not None:
            for name in self._entries.missing(seen):
                self._links.pop(name, None)
                message, changed = self._note(patch, ENTRIES, self._entries, name, _GONE)
                if message is not None:
                    yield message
        if len(self._entries) > self._wanted.most:  # by those that came since it was listed
            raise _Refused(self._too_many())
        if self._wanted.targets and (changed or self._targets is None):
            yield from self._tell_targets(patch, directory)

    def _note(
        self, patch: Patch, where: bytes, digest: Digest, name: str, now: Attributes | None
    ) -> tuple[bytes | None, bool]:
        """A message that is full, and whether there was news. What is told once is not remembered."""
        if not self._wanted.watch:
            return (None, False) if now is None else (patch.member(where, name, now), True)
        news = digest.note(name, now)
        return (None, False) if news is False else (patch.member(where, name, news), True)

    def _listed(self, directory: int) -> Iterator[tuple[str, Attributes | None]]:
        """All entries that fit. Raises _Refused where there are too many."""
        matches = self._wanted.entries
        count = 0
        by_listing = self._teller.type_alone and not self._wanted.targets and _may_search(directory)
        with_type = "type" in self._teller.names
        if matches is None:
            return
        with os.scandir(directory) as entries:
            for entry in entries:
                name = listed(entry.name)
                if not matches(name):
                    continue
                count += 1
                if count > self._wanted.most:
                    raise _Refused(self._too_many())
                if by_listing:
                    kind = _kind_of(entry, directory) if with_type else ""
                    yield name, ({"type": kind} if kind else {})
                else:
                    now = self._entry(name, directory, entry)
                    if now is not None:
                        yield name, now

    def _named(self, directory: int, names: Collection[str]) -> Iterator[tuple[str, Attributes | None]]:
        for name in names:
            yield name, self._entry(name, directory)

    def _entry(self, name: str, directory: int, entry: os.DirEntry[str] | None = None) -> Attributes | None:
        """`entry`: as it was listed just now; it is quicker to be looked at."""
        path = _for_system(name)
        if self._wanted.targets:
            self._links.pop(name, None)
        try:
            if entry is not None:
                found = entry.stat(follow_symlinks=False)
            else:
                found = os.stat(path, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError:
            return {}
        if self._wanted.targets and stat.S_ISLNK(found.st_mode):
            target = read_link(path, directory)
            if target is not None:
                self._links[name] = target
        return self._teller.tell(found, path, directory, follow=False)

    def _tell_targets(self, patch: Patch, directory: int) -> Iterator[bytes]:
        if self._targets is None:
            self._targets = Digest(self._teller.names)
            patch.open_map(TARGETS)
        wanted = {target for target in self._links.values() if self._is_elsewhere(target)}
        for target in self._targets.missing(wanted):
            message, _ = self._note(patch, TARGETS, self._targets, target, _GONE)
            if message is not None:
                yield message
        for target in wanted:
            message, _ = self._note(patch, TARGETS, self._targets, target, self._target(target, directory))
            if message is not None:
                yield message

    def _is_elsewhere(self, target: str) -> bool:
        """Whether it is no entry anyhow."""
        matches = self._wanted.entries
        return target != "." and (target == ".." or "/" in target or matches is None or not matches(target))

    def _target(self, target: str, directory: int) -> Attributes | None:
        path = _for_system(target)
        try:
            found = os.stat(path, dir_fd=directory)
        except FileNotFoundError:
            return None
        except OSError:
            return {}
        return self._teller.tell(found, path, directory, follow=True)

    def _too_many(self) -> dict[str, str]:
        words = f"more than {self._wanted.most} entries (info_entries)"
        return {"problem": INTERNAL_ERROR, "message": words, "errno": "EOVERFLOW"}


def _reopen(place: int, path: bytes) -> int:
    """A descriptor to list the directory `place` with. Not by way of `.`: for that one has to have the right to search
    it, too."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        return os.open(b"/proc/self/fd/%d" % place, flags)
    except FileNotFoundError:  # no /proc here
        return os.open(path, flags)


def _error(error: OSError) -> dict[str, str]:
    number = error.errno or errno.EIO
    problem = _NOT_DIRECTORY if number == errno.ENOTDIR else code_of(error)
    return {"problem": problem, "message": os.strerror(number), "errno": errno.errorcode.get(number, str(number))}


def _may_read(path: bytes) -> bool:
    """False if it is there and may not be read."""
    try:
        return os.access(path, os.R_OK, effective_ids=True) or not os.path.exists(path)
    except OSError:
        return True


def _may_search(directory: int) -> bool:
    return os.access(".", os.X_OK, dir_fd=directory, effective_ids=True)


def _kind_of(entry: os.DirEntry[str], directory: int) -> str:
    """What the listing says it is, as far as it can."""
    try:
        if entry.is_file(follow_symlinks=False):
            return "reg"
        if entry.is_dir(follow_symlinks=False):
            return "dir"
        if entry.is_symlink():
            return "lnk"
        found = os.stat(entry.name, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return ""
    return KINDS.get(stat.S_IFMT(found.st_mode), "")


def _for_system(name: str) -> str | bytes:
    """A name, or a path, for a call of the system; bytes where the locale would make another name of it."""
    return name if _UTF8 else system_path(name)
