"""What came out of a splitter, in a form in which two of them can be compared."""

from collections.abc import Iterable
from typing import Any

from spanbridge.protocol.frames import join
from spanbridge.protocol.splitter import CONTROL, UNROUTED, FrameError, Mark, Splitter

from .slow_splitter import Given, Malformed, SlowSplitter
from .streams import act


class Account:
    """One entry for each control frame: what came before it, by route, and the frame itself.

    Only that order counts: a splitter may give frames of different routes in any order between two control frames.
    """

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = [{}]
        self.error: int | None = None  # offset of the frame that was none

    def data(self, route: str, data: bytes) -> None:
        self.entries[-1][route] = self.entries[-1].get(route, b"") + data

    def unrouted(self, ident: bytes, offset: int) -> None:
        self.entries[-1].setdefault("unrouted", []).append((ident, offset))

    def control(self, frame: bytes, offset: int) -> None:
        self.entries[-1]["control"] = frame, offset
        self.entries.append({})


def told_by(splitter: Splitter[str], chunks: list[bytes]) -> Account:
    """What `splitter` gives for these chunks."""
    account = Account()
    try:
        for chunk in chunks:
            for route, span in given_by(splitter, chunk):
                note(account, splitter, route, span)
    except FrameError as error:
        account.error = error.offset
    return account


def given_by(splitter: Splitter[str], chunk: bytes) -> Iterable[tuple[str | Mark, Any]]:
    """As the bridge has it: what is one whole frame need not be fed."""
    lone = splitter.lone(chunk)
    return splitter.feed(chunk) if lone is None else [(lone, chunk)]


def note(account: Account, splitter: Splitter[str], route: str | Mark, span: Any) -> None:
    """Take up one thing that was given, and act on a control frame."""
    if route is CONTROL:
        assert type(span) is bytes
        account.control(span, splitter.offset)
        act(span[span.index(b"\n") + 2 :], splitter.routes)
    elif route is UNROUTED:
        assert type(span) is bytes
        account.unrouted(span, splitter.offset)
    else:
        assert isinstance(route, str)
        check_whole(span)
        account.data(route, bytes(join(span)))


def check_whole(span: Any) -> None:
    """A span is whole frames; a list is one frame."""
    data = bytes(join(span))
    count, at = 0, 0
    while at < len(data):
        line = data.index(b"\n", at)
        at = line + 1 + int(data[at:line])
        count += 1
    assert at == len(data)
    assert count > 0
    if isinstance(span, list):
        assert count == 1
        assert all(span)


def told_slowly(splitter: SlowSplitter, stream: bytes) -> Account:
    """What the reference gives for the stream."""
    account = Account()
    try:
        for given in splitter.feed(stream):
            note_slowly(account, splitter, given)
    except Malformed as error:
        account.error = error.offset
    return account


def note_slowly(account: Account, splitter: SlowSplitter, given: Given) -> None:
    """As `note`."""
    if not given.ident:
        account.control(given.frame, given.offset)
        act(given.frame[given.frame.index(b"\n") + 2 :], splitter.routes)
    elif given.route is None:
        account.unrouted(given.ident, given.offset)
    else:
        account.data(given.route, given.frame)
