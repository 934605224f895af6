"""The sink of a channel that the bridge serves itself: session/sinks.Own and payloads/base.Port."""

import gc
import weakref
from collections.abc import Callable, Iterator

import pytest

from spanbridge.payloads.base import Port
from spanbridge.protocol.frames import Span
from spanbridge.session.sinks import Own
from spanbridge.wire.source import Source


class Served:
    kind = "test"
    takes = False

    def __init__(self, port: Port) -> None:
        self.port = port

    def put(self, data: Span) -> None: ...

    def move_in(self, held: Span, source: Source, missing: int) -> int:
        raise AssertionError("it does not take")

    def command(self, ident: bytes, command: str, frame: bytes) -> None: ...

    def end(self) -> None: ...


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def _closed_by_itself(own: Own, served: Served) -> None:
    own.made()
    served.port.close()


def _closed_while_it_was_made(own: Own, served: Served) -> None:
    served.port.close()
    own.made()


def _closed_by_the_front_end(own: Own, served: Served) -> None:
    own.made()
    own.close(b"1", b"")


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("close", [_closed_by_itself, _closed_while_it_was_made, _closed_by_the_front_end])
def test_one_that_is_over_is_freed_at_once(close: Callable[[Own, Served], None]) -> None:
    """There may be thousands a second."""
    made: list[Served] = []

    def make(port: Port) -> Served:
        made.append(Served(port))
        return made[0]

    told: list[Span] = []
    own = Own(b"1", make, to_front=told.append, forget=lambda ident: None)
    close(own, made[0])
    assert bool(told) is (close is not _closed_by_the_front_end)
    gone = [weakref.ref(made.pop())]
    del own
    assert [each() for each in gone] == [None]
