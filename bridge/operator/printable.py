"""Text and bytes of others, made fit for a terminal: what would move its cursor, or ring its bell, is escaped."""

from typing import Any

from spanbridge.protocol.control import written


def printable(text: str, keep: str = "") -> str:
    """`text` with every character escaped, as Python writes it, that is neither printable nor in `keep`."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in keep else ascii(each)[1:-1] for each in text)


def message_line(message: dict[str, Any], channel: str | None = None) -> str:
    """A control message for people: its command, its channel unless it is `channel`, its other members as JSON."""
    rest = {name: value for name, value in message.items() if name != "command"}
    words = [str(message.get("command", "?"))]
    told = rest.get("channel")
    if isinstance(told, str):
        del rest["channel"]
        if told != channel:
            words.append(told)
    if rest:
        words.append(written(rest).decode())
    return printable(" ".join(words))
