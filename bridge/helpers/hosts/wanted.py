"""What an open for another host asks of its connection (docs/hosts.md, "Members of an open")."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from spanbridge.protocol.problems import PROTOCOL_ERROR, Problem

from ...payloads.served.options import Options
from .destination import Destination, parse
from .host_key import HostKey, read_keys

ConnectionKey: TypeAlias = tuple[str, str | None, str | None]
"""Host as written, user, and the channel of a private connection."""


class Wanted(NamedTuple):
    """`key`: opens with the same one share a connection. `superuser`: the id of the privileged bridge that is to be
    started over there, or None."""

    host: str
    destination: Destination
    key: ConnectionKey
    private: bool = False
    password: str | None = None
    keys: tuple[HostKey, ...] = ()
    superuser: str | None = None


def read_wanted(message: Mapping[str, Any], own_user: str) -> Wanted:
    """What a normalised open with a foreign `host` asks for. `own_user`: the session's, which counts as none.

    Raises Problem: `no-host` for a name that cannot be one, `protocol-error` for anything else.
    """
    options = Options(message, "an open for another host")
    host = options.text("host")
    user = options.text("user", None)
    if user == own_user:
        user = None
    private = options.choice("session", "shared", "shared", "private") == "private"
    options.boolean("temp-session")
    superuser = options.text("init-superuser", None)
    password = options.text("password", None)
    if password is not None and any(each in password for each in "\0\r\n"):  # of one with \r ssh takes what is before
        raise Problem(PROTOCOL_ERROR, f'"password" of {options.of}: expected one line')
    text = options.text("host-key", None)
    return Wanted(
        host,
        parse(host, user),
        (host, user, str(message["channel"]) if private else None),
        private,
        password or None,
        tuple(read_keys(text)) if text is not None else (),
        None if superuser in (None, "", "none") else superuser,
    )
