"""What a helper is started with: decided before there is a process, and told by `explain` without one."""

import os
import pwd
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from spanbridge.manifests.model import Rule
from spanbridge.manifests.template import Expansion

if TYPE_CHECKING:  # the tools for people start nothing
    from .process import Running

Key: TypeAlias = tuple[
    bytes, Expansion
]  # the identity of the rule, and what it expanded to: what a helper is reused by

Begin: TypeAlias = "Callable[[Launch, Callable[[], None]], Running]"
"""Starts a helper; the function is called when it has ended. Raises SpawnError."""

DEPTH_VARIABLE: Final = "SPANBRIDGE_DEPTH"
RULE_VARIABLE: Final = "SPANBRIDGE_RULE"
LOGIN_MESSAGES_VARIABLE: Final = "COCKPIT_LOGIN_MESSAGES_MEMFD"  # the number of a descriptor that helpers do not have


class Launch(NamedTuple):
    """One helper that is to be started."""

    rule: Rule
    key: Key
    environ: Mapping[str, str]
    host: str
    """What our answer to its `init` gives as `host`."""
    variables: Mapping[str, str]
    """Those of the rule, and what they were expanded to."""
    name: str = ""
    """What logs and messages call it; empty: as its rule is called."""
    superuser: str | None = None
    """The id of the privileged bridge that it is to start, as our answer to its `init` says."""
    privileged: bool = False
    """It is on a socket pair, may ask for our stderr, and is not stopped to make room."""
    begin: "Begin | None" = None
    """Has it started by somebody else. None: it is a child of ours."""


def helper_environ(own: Mapping[str, str], rule: Rule, expansion: Expansion, depth: int) -> dict[str, str]:
    """The environment of a helper of the bridge that has `own`, and that `depth` bridges have led to."""
    inherited = {_text(name): _text(value) for name, value in own.items() if name != LOGIN_MESSAGES_VARIABLE}
    return {
        **of_account(),
        **inherited,
        **dict(expansion.environ),
        DEPTH_VARIABLE: str(depth + 1),
        RULE_VARIABLE: rule.name,
    }


@cache
def of_account() -> Mapping[str, str]:
    """What the environment of whoever is logged in has of the account; a service manager may leave it out."""
    try:
        account = pwd.getpwuid(os.getuid())
    except KeyError:  # an id without an entry
        return {}
    return {"HOME": account.pw_dir, "USER": account.pw_name, "SHELL": account.pw_shell or "/bin/sh"}


def _text(inherited: str) -> str:
    """Python has decoded it by the locale; helpers are started with UTF-8 (spawn.py)."""
    return os.fsencode(inherited).decode("utf-8", "surrogateescape")
