"""A record as a line for people."""

from ..printable import message_line, printable
from ..terminal import Paint
from .recording import Record

_ARROWS = {"in": "-->", "out": "<--", None: "   "}
_STYLES = {"in": "green", "out": "blue", None: "dim"}


def text(record: Record, paint: Paint) -> str:
    """One line, without its end."""
    arrow = paint(_STYLES[record.dir], _ARROWS[record.dir])
    return f"{paint('dim', f'{record.t:10.6f}')} {arrow} {_what(record, paint)}"


def _what(record: Record, paint: Paint) -> str:
    if record.exit is not None:
        return f"exit status {record.exit}"
    if record.end:
        return "end" + (f", {record.size} bytes into a frame" if record.size else "")
    if record.descriptors:
        return f"{record.descriptors} descriptors, with {record.size} bytes outside of all frames"
    if record.message is not None:
        command, _, rest = message_line(record.message).partition(" ")
        return f"{paint('bold', command)} {rest}".rstrip()
    if record.garbage is not None:
        reason = paint("red", f"no frame: {printable(record.garbage)}".rstrip(": "))
        return f"{reason} {record.size} bytes{_payload(record)}"
    return f"{paint('bold', printable(record.channel or ''))} {record.size} bytes{_payload(record)}"


def _payload(record: Record) -> str:
    data = record.data
    note = " (redacted)" if record.redacted else ""
    if not data:
        return note
    shown = "base64 " + record.base64 if record.base64 is not None else f'"{_quoted(data.decode())}"'
    return f" {shown}{'...' if record.shortened else ''}{note}"


def _quoted(text: str) -> str:
    return printable(text.replace("\\", "\\\\").replace('"', '\\"'))
