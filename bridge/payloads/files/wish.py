"""What an open of `fsreplace1` asks for (docs/files.md, "fsreplace1")."""

import grp
import pwd
from typing import Any, Final

import msgspec

from spanbridge.protocol.problems import NOT_FOUND, PROTOCOL_ERROR, Problem

from ..served.options import Options
from .paths import path_option

_MEMBERS: Final = ("mode", "user", "group")
_LARGEST_ID: Final = (1 << 32) - 2  # one more means: as it is
_LARGEST_SIZE: Final = (1 << 63) - 1

Name = str | int


class Attributes(msgspec.Struct, frozen=True, kw_only=True):
    """Of `attrs`: what the new file is to have. None: not asked for."""

    mode: int | None = None
    user: Name | None = None
    group: Name | None = None

    @property
    def named(self) -> bool:
        """Whether names have to be looked up."""
        return isinstance(self.user, str) or isinstance(self.group, str)


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """`tag`: what the file must be when it is replaced, None: anything. `size`: bytes to allocate."""

    path: bytes
    tag: str | None
    size: int | None
    attributes: Attributes


def read_wish(options: Options) -> Wish:
    """Raises Problem (`protocol-error`)."""
    return Wish(
        path=path_option(options),
        tag=options.text("tag", None),
        size=options.integer("size", None, least=0, most=_LARGEST_SIZE),
        attributes=_attributes(options),
    )


def _attributes(options: Options) -> Attributes:
    attrs = options.members("attrs", None)
    if attrs is None:
        return Attributes()
    unknown = [name for name in attrs.names if name not in _MEMBERS]
    if unknown:
        raise _unsupported(f'"attrs" of fsreplace1: {unknown[0][:40]!r} is none of {", ".join(_MEMBERS)}', unknown)
    try:
        mode = attrs.integer("mode", None, least=0, most=0o7777)
        user, group = (_name(attrs, each) for each in ("user", "group"))
    except Problem as problem:
        wrong = [name for name in _MEMBERS if f'"{name}"' in problem.message.partition(" of ")[0]]
        raise _unsupported(problem.message, wrong) from None
    if (user is None) != (group is None):
        missing = "user" if user is None else "group"
        raise _unsupported(f'"attrs" of fsreplace1: expected user and group, or neither; no {missing}', [missing])
    return Attributes(mode=mode, user=user, group=group)


def _name(attrs: Options, member: str) -> Name | None:
    if member not in attrs:
        return None
    try:
        return attrs.integer(member, least=0, most=_LARGEST_ID)
    except Problem:
        return attrs.system(member, expected="a name, or a number of 0 or more")


def _unsupported(message: str, names: list[str]) -> Problem:
    members: dict[str, Any] = {"unsupported-attrs": names}
    return Problem(PROTOCOL_ERROR, message, **members)


def look_up(attributes: Attributes) -> Attributes:
    """The same with numbers for names. Blocks: accounts may be anywhere. Raises Problem (`not-found`)."""
    return Attributes(mode=attributes.mode, user=_uid(attributes.user), group=_gid(attributes.group))


def _uid(user: Name | None) -> int | None:
    if not isinstance(user, str):
        return user
    try:
        return pwd.getpwnam(user).pw_uid
    except (KeyError, UnicodeEncodeError):
        raise Problem(NOT_FOUND, f"fsreplace1: no user {user[:80]!r} here") from None


def _gid(group: Name | None) -> int | None:
    if not isinstance(group, str):
        return group
    try:
        return grp.getgrnam(group).gr_gid
    except (KeyError, UnicodeEncodeError):
        raise Problem(NOT_FOUND, f"fsreplace1: no group {group[:80]!r} here") from None
