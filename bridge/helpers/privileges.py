"""Whether an open asks for privileges (docs/superuser.md, "Channels")."""

from typing import Any, Final

from spanbridge.protocol.problems import ACCESS_DENIED, PROTOCOL_ERROR, Problem, shown

REQUIRE: Final = "require"
TRY: Final = "try"


def privileges(message: dict[str, Any]) -> str | None:
    """Whether a normalised open asks for the privileged helper of this host: REQUIRE, TRY, or None.

    Raises Problem (`protocol-error`) for a `superuser` that is none of what it may be.
    """
    wanted = message.get("superuser")
    if wanted is None or wanted is False or "host" in message:
        return None
    if wanted is True:
        return REQUIRE
    if wanted in (REQUIRE, TRY):
        return str(wanted)
    raise Problem(
        PROTOCOL_ERROR, f'"superuser" of the open: expected "require", "try", true or false, found {shown(wanted)}'
    )


def without_privileges(wanted: str) -> None:
    """There is no privileged helper: what tries goes on as if it had not asked. Raises Problem for what requires it."""
    if wanted == REQUIRE:
        raise Problem(ACCESS_DENIED, "administrative access was asked for, and no privileged bridge runs")
