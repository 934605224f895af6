"""What a bus is asked for: its own name, and the text of a rule (D-Bus Specification, "Match Rules")."""

from typing import Final

BUS_NAME: Final = "org.freedesktop.DBus"
BUS_PATH: Final = "/org/freedesktop/DBus"


def signals_of(sender: str | None, /, **members: str | None) -> str:
    """The rule for the signals of a peer. A `path_namespace` of `/`, which is all, is left out: some brokers fail on
    it."""
    if members.get("path_namespace") == "/":
        members["path_namespace"] = None
    parts = {"type": "signal", "sender": sender, **members}
    return ",".join(f"{key}={_quote(value)}" for key, value in parts.items() if value is not None)


def _quote(value: str) -> str:
    """Nothing is special within apostrophes, and an apostrophe stands outside of them."""
    return "'" + value.replace("'", "'\\''") + "'"
