"""What waits for a socket goes out in order, and not all in one turn."""

import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import cast

import pytest

from spanbridge.payloads.http.transport import Transport
from spanbridge.wire.poller import Poller

PIECES = 20_000
TURN = 2_000  # more pieces than go out in one turn


class Wire:
    """A transport without an event loop, and the other end of its socket."""

    def __init__(self) -> None:
        ours, self.peer = socket.socketpair()
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.writable: Callable[[], None] | None = None
        self.taken = 0
        self.empty = 0
        self.transport = Transport(ours, cast(Poller, SimpleNamespace(watch_write=self._watch)))
        self.transport.on_taken = self._taken
        self.transport.on_empty = self._empty

    def _watch(self, fd: int, writable: Callable[[], None] | None) -> None:
        self.writable = writable

    def _taken(self, nbytes: int) -> None:
        self.taken += nbytes

    def _empty(self) -> None:
        self.empty += 1

    def turn(self) -> int:
        """The socket has room; how many bytes of payload it takes."""
        assert self.writable is not None
        before = self.taken
        self.writable()
        return self.taken - before


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.transport.close()
    made.peer.close()


def test_many_pieces_go_out_in_several_turns(wire: Wire) -> None:
    sent = [b"%06d" % number for number in range(PIECES)]
    for each in sent:
        wire.transport.queue(each, 1)
    wire.transport.flush()
    assert 0 < wire.taken < TURN
    assert wire.transport.waiting
    heard = wire.peer.recv(1 << 20)
    while wire.writable is not None:
        assert wire.empty == 0
        assert wire.turn() < TURN
        heard += wire.peer.recv(1 << 20)
    assert heard == b"".join(sent)
    assert (wire.taken, wire.empty, wire.transport.waiting) == (PIECES, 1, False)


def test_one_that_is_closed_by_whoever_hears_of_it(wire: Wire) -> None:
    """What has not gone out is dropped, and nobody is called again."""

    def close(nbytes: int) -> None:
        wire.taken += nbytes
        wire.transport.close()

    wire.transport.on_taken = close
    for _ in range(PIECES):
        wire.transport.queue(b"x", 1)
    wire.transport.flush()
    assert 0 < wire.taken < TURN
    assert (wire.empty, wire.writable) == (0, None)
