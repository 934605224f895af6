"""Putting new content in place of a file, or taking the file away: in one go, if it is still what it has to be."""

import contextlib
import errno
import os
import stat
import threading
from collections.abc import Iterator
from typing import Final, NamedTuple

from spanbridge.protocol.problems import ACCESS_DENIED, CHANGE_CONFLICT, Problem

from .access import (
    ACCESS_LIST,
    NO_MODES,
    Access,
    access_of,
    give,
    group_mode_of_list,
    new_mode,
    read_umask,
    without_group,
)
from .directory import Directory
from .errors import denied, problem_of
from .new_file import NewFile, refuse_directory
from .paths import shown
from .tag import NO_FILE, tag_of
from .wish import Attributes, Wish

_GROUP_OR_OTHERS_WRITE: Final = 0o022
_OF_ONE_OWNER: Final = 0o6000  # setuid and setgid: they are for the owner that they were given to


class Locks:
    """One lock for each directory in which somebody commits now: of writers with one tag one wins, and one directory
    that never answers holds up no other."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held: dict[tuple[int, int], tuple[threading.Lock, list[None]]] = {}

    @contextlib.contextmanager
    def of(self, directory: Directory) -> Iterator[None]:
        with self._guard:
            lock, users = self._held.setdefault(directory.identity, (threading.Lock(), []))
            users.append(None)
        try:
            with lock:
                yield
        finally:
            with self._guard:
                users.pop()
                if not users:
                    del self._held[directory.identity]


class _There(NamedTuple):
    """What has the name now. `fd` is for looking at it alone."""

    fd: int
    found: os.stat_result


def commit(new: NewFile, wish: Wish, locks: Locks) -> str:
    """Give the new content its name; the tag that it has there.

    Raises Problem: `change-conflict`, or what the system says to it. The old file is whole at any moment.
    """
    try:
        with new.shared.using():
            new.finish()
            with locks.of(new.directory), _tagged(new.directory, wish) as there:
                _check_tag(wish, there)
                refuse_directory(new.directory)
                _give_access(new, wish, there)
                tag = tag_of(os.fstat(new.fd))  # now: once it has its name, nothing may fail any more
                if wish.tag == NO_FILE:
                    new.link()
                else:
                    new.replace()
                return tag
    except FileExistsError:
        raise _conflict(wish.path) from None
    except OSError as error:
        raise problem_at(error, wish.path) from None
    finally:
        new.shared.end()


def remove(wish: Wish, locks: Locks) -> str:
    """Take the file away if there is one; the tag of no file. Raises Problem."""
    try:
        directory = Directory(wish.path)
        try:
            with locks.of(directory):
                with _tagged(directory, wish) as there:
                    _check_tag(wish, there)
                refuse_directory(directory)
                with contextlib.suppress(FileNotFoundError):
                    directory.remove(directory.name)
        finally:
            directory.close()
    except OSError as error:
        raise problem_at(error, wish.path) from None
    return NO_FILE


def problem_at(error: OSError, path: bytes) -> Problem:
    """What the system says to a replacement: a directory is not replaced."""
    if error.errno == errno.EISDIR:
        return Problem(ACCESS_DENIED, f"{shown(path)}: {os.strerror(errno.EISDIR)}")
    return problem_of(error, path)


@contextlib.contextmanager
def _what_is_there(directory: Directory, *, follow: bool) -> Iterator[_There | None]:
    try:
        fd = directory.find(follow=follow)
    except FileNotFoundError:
        yield None
        return
    try:
        yield _There(fd, os.fstat(fd))
    finally:
        os.close(fd)


@contextlib.contextmanager
def _tagged(directory: Directory, wish: Wish) -> Iterator[_There | None]:
    """What a tag speaks of: where a link leads. Without a tag nobody looks there."""
    if wish.tag is None:
        yield None
    else:
        with _what_is_there(directory, follow=True) as there:
            yield there


def _check_tag(wish: Wish, there: _There | None) -> None:
    if wish.tag is not None and wish.tag != (NO_FILE if there is None else tag_of(there.found)):
        raise _conflict(wish.path)


def _conflict(path: bytes) -> Problem:
    return Problem(CHANGE_CONFLICT, f"{shown(path)}: it is not what it was when it was read")


def _give_access(new: NewFile, wish: Wish, there: _There | None) -> None:
    """Owner, mode and the like, before the content gets its name."""
    asked = wish.attributes
    if wish.tag is not None and there is not None:
        _give_all(new, _asked(access_of(there.fd, there.found), asked))
        return
    old = None if wish.tag == NO_FILE else _to_be_kept(new.directory)
    if old is None:
        access = _asked(Access(mode=new_mode(new.directory.fd, read_umask())), asked)
        if asked == Attributes():
            _give_new(new, access)
        else:
            _give_all(new, access)
    elif asked.user is not None:
        _give_all(new, _asked(old, asked))
    else:
        _give_what_may_be(new, _asked(old, asked), explicit_mode=asked.mode is not None)


def _asked(access: Access, asked: Attributes) -> Access:
    """With what `attrs` ask for in place of what is there."""
    uid, gid, mode, lists = access.uid, access.gid, access.mode, access.lists
    if isinstance(asked.user, int) and isinstance(asked.group, int):
        if mode is not None and (uid, gid) != (asked.user, asked.group):
            mode &= ~_OF_ONE_OWNER
        uid, gid = asked.user, asked.group
    if asked.mode is not None:
        mode = asked.mode
        lists = {name: value for name, value in (lists or {}).items() if name != ACCESS_LIST}
    return Access(uid=uid, gid=gid, mode=mode, lists=lists)


def _give_new(new: NewFile, access: Access) -> None:
    """What a new file has where nobody asks for more: on some file systems that is not for us to say."""
    try:
        give(new.fd, access)
    except OSError as error:
        if error.errno not in NO_MODES:
            raise


def _give_all(new: NewFile, access: Access) -> None:
    try:
        give(new.fd, access)
    except PermissionError:
        raise denied(new.path, "its owner cannot be kept or given") from None


def _to_be_kept(directory: Directory) -> Access | None:
    """What the regular file of that name has, if it may be trusted with it; None: the new one is as new."""
    with _what_is_there(directory, follow=False) as there:
        if there is None or not stat.S_ISREG(there.found.st_mode):
            return None
        around = os.fstat(directory.fd)
        if around.st_mode & _GROUP_OR_OTHERS_WRITE and there.found.st_uid not in (around.st_uid, os.geteuid()):
            return None  # anybody may have put it there, to have our content be theirs
        return access_of(there.fd, there.found)


def _give_what_may_be(new: NewFile, access: Access, *, explicit_mode: bool) -> None:
    """Owner and group as far as that is allowed. Nobody may read more than before, unless a mode was asked for."""
    try:
        give(new.fd, access)
        return
    except PermissionError:
        pass
    mode = 0 if access.mode is None else access.mode & ~_OF_ONE_OWNER
    try:
        give(new.fd, Access(gid=access.gid, mode=access.mode if explicit_mode else mode, lists=access.lists))
        return
    except PermissionError:
        pass
    if explicit_mode:
        give(new.fd, Access(mode=access.mode, lists=access.lists))
        return
    lists = dict(access.lists or {})
    acl = lists.pop(ACCESS_LIST, None)
    if acl is not None:
        mode = mode & ~0o777 | group_mode_of_list(acl)
    give(new.fd, Access(mode=without_group(mode), lists=lists))
