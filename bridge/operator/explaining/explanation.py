"""What is told of an open: who gets it, and why (explainer.py decides)."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UnsetType

from spanbridge.manifests.model import Catalog

from ...helpers.launch import Key
from ...limits import Limits
from .other_host import Far

CONNECTION: Final = "ssh"
"""Stands in the place of a rule for the bridge's own connections to other hosts."""

EMPTY: Final = "an empty problem"
"""How a problem of no characters is called."""

NONE: Final = "none"
RUNNING: Final = "running"
ROOT: Final = "root"

RULE: Final = "rule"
INTERNAL: Final = "internal"
PRIVILEGED: Final = "privileged"
HOST: Final = "host"
NOBODY: Final = "nobody"


class Bridge(msgspec.Struct, frozen=True):
    """The bridge that is asked about."""

    catalog: Catalog
    environ: Mapping[str, str]
    directory: str
    """Its own working directory."""
    depth: int
    host: str
    """The front end's own, as its `init` gives it."""
    superuser: str
    """NONE: no privileged bridge runs. RUNNING: one does. ROOT: there are no privileges to gain."""
    limits: Limits
    pid: int | None = None
    """None: none that runs, but one that were started where we were."""


class Miss(msgspec.Struct, frozen=True):
    """A member of a rule's `match` that the open does not satisfy."""

    member: str
    wanted: Any
    """Absent: the member must not be there."""
    got: Any
    """Absent: the open has no such member."""
    text: str
    hint: str


class Look(msgspec.Struct, frozen=True):
    """One rule, and whether it takes the open."""

    position: int
    """From 1, in the order in which they are tried."""
    rule: str
    priority: float
    """Of its package."""
    source: str
    match: dict[str, Any]
    matches: bool
    misses: list[Miss]
    behind: str
    """Why a rule that matches comes behind the one that comes first."""
    refuses: str | None = None
    """The problem with which a rule without a command closes what it matches; None: it has a command."""


class Filled(msgspec.Struct, frozen=True):
    """A text of the rule with variables in it."""

    where: str
    template: str
    text: str
    absent: list[str]
    """The variables that the open has no value for."""


class Change(msgspec.Struct, frozen=True):
    """One variable of the helper's environment. kind: added, changed, removed, set (to what it was), inherited."""

    kind: str
    name: str
    value: str | UnsetType
    was: str | UnsetType


class Failure(msgspec.Struct, frozen=True):
    """What comes of it if a helper fails to start. One of the members is not empty."""

    problem: str
    """The channel closes with it."""
    next: str
    """The next rule that matches; CONNECTION: there is none, and the open is for another host."""
    internal: str
    """The payload that the bridge serves itself."""


class Attempt(msgspec.Struct, frozen=True):
    """A rule that matches, as far as it could be made a command."""

    position: int
    rule: str
    source: str
    problem: str
    """What keeps the command from being made: the channel closes with `protocol-error`. Empty: nothing does."""
    argv: list[str]
    environ: list[Change]
    directory: str
    own_directory: bool
    filled: list[Filled]
    depends_on: list[str]
    """Members of the open: those in which these are alike share a process."""
    timeout: float | None
    program: str
    cannot_start: str
    """Why it cannot be started; empty if nothing that can be seen speaks against it."""
    detail: str
    if_it_fails: Failure


class Privileged(msgspec.Struct, frozen=True):
    """What an open that asks for privileges finds."""

    wanted: str
    """`require` or `try`."""
    state: str
    offered: list[str]
    """Ids of the privileged rules that can be started."""
    left_out: dict[str, str]
    """Names of those that cannot, and why."""
    in_turn: list[str]
    """What "any" would try, in order."""


class Served(msgspec.Struct, frozen=True):
    """Who has the channel in the end."""

    by: str
    """RULE, INTERNAL, PRIVILEGED, HOST or NOBODY."""
    rule: str = ""
    payload: str = ""
    problem: str = ""
    """With which the channel closes."""
    message: str = ""
    far: Far | None = None
    """Of HOST: the connection to another host."""


class Explanation(msgspec.Struct, frozen=True):
    """All of it, for one open."""

    open: dict[str, Any]
    matched: dict[str, Any]
    """The open as it is matched."""
    forwarded: dict[str, Any]
    """The open as it is handed on."""
    privileged: Privileged | None
    rules: list[Look]
    """In the order in which they are tried; empty where they are not asked."""
    winner: int | None
    """The position of the first rule that matches."""
    attempts: list[Attempt]
    """The rules that match, in order, up to one behind which nobody comes; of very many the first."""
    served: Served


class Explained(NamedTuple):
    told: Explanation
    key: Key | None = None
    """Of the helper that would have the open, if it is one of a rule."""
    values: Mapping[str, str] = {}
    """What the variables of that rule become."""
