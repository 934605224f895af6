"""What a frame costs does not grow with the number of frames, whatever they are.

Counted, not timed: how many frames the splitter looks at ahead. Each look is meant to be paid for by the frames that
the one before it has taken, four times at most.
"""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import spanbridge.protocol.splitter
from spanbridge.protocol import runs
from spanbridge.protocol.splitter import Splitter

from .determined import examples
from .streams import frame, routes, same_lengths, streams

PER_FRAME = 9


class Looks:
    """Counts the frames that are looked at ahead."""

    def __init__(self) -> None:
        self.count = 0

    def agreeing(self, real: Callable[..., int]) -> Callable[..., int]:
        def counted(data: bytes, pos: int, size: int, prefix: bytes, limit: int) -> int:
            self.count += limit
            return real(data, pos, size, prefix, limit)

        return counted

    def targets(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def counted(data: bytes, pos: int, size: int, run: int, *rest: Any) -> Any:
            self.count += run
            return real(data, pos, size, run, *rest)

        return counted


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    counter = Looks()
    monkeypatch.setattr(spanbridge.protocol.splitter, "agreeing", counter.agreeing(runs.agreeing))
    monkeypatch.setattr(spanbridge.protocol.splitter, "targets", counter.targets(runs.targets))
    return counter


def looked(looks: Looks, at_first: dict[bytes, str], stream: bytes) -> tuple[int, int]:
    """Frames looked at ahead, and frames there are."""
    looks.count = 0
    for _ in Splitter(at_first).feed(stream):
        pass
    count, at = 0, 0
    while at < len(stream):
        line = stream.index(b"\n", at)
        at = line + 1 + int(stream[at:line])
        count += 1
    return looks.count, count


A, B, Z = frame(b"a", b"..."), frame(b"b", b"..."), frame(b"z", b"...")
CONTROL = frame(b"", b"....")
DECOY = frame(b"b", b".." + A + b"..")  # an A begins where the second after an A would
assert (A + DECOY).index(A, 1) == 2 * len(A)

ADVERSARIAL = {
    "data and control in turn": (A + CONTROL) * 3_000,
    "two channels of one place": (A + B) * 3_000,
    "runs that end after the probe": (A * 4 + CONTROL) * 1_000,
    "runs that end one later": (A * 5 + CONTROL) * 1_000,
    "runs that end one earlier": (A * 3 + CONTROL) * 1_000,
    "a long run, then short ones": A * 3_000 + (A * 3 + CONTROL) * 2_000,
    "long and short in turn": (A * 340 + CONTROL + (A * 3 + CONTROL) * 30) * 20,
    "without a route, among others": (A * 3 + Z) * 2_000,
    "what looks like a run and is none": ((A + DECOY) * 7 + A * 2 + CONTROL) * 400,
    "the same, then equal lengths": ((A + DECOY) * 7 + A + B + CONTROL) * 400,
}


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_little_is_looked_at_in_vain(looks: Looks, name: str) -> None:
    ahead, frames = looked(looks, {b"a": "north", b"b": "north"}, ADVERSARIAL[name])
    assert ahead <= PER_FRAME * frames, f"{ahead / frames:.1f} looks a frame"


def test_in_any_stream() -> None:
    looks = Looks()

    @examples(80)
    @given(routes, st.one_of(streams, st.lists(same_lengths(), max_size=6).map(b"".join)), st.integers(1, 20))
    def check(at_first: dict[bytes, str], stream: bytes, times: int) -> None:
        ahead, frames = looked(looks, dict(at_first), stream * times)
        assert ahead <= PER_FRAME * frames

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(spanbridge.protocol.splitter, "agreeing", looks.agreeing(runs.agreeing))
        patched.setattr(spanbridge.protocol.splitter, "targets", looks.targets(runs.targets))
        check()


def test_a_long_run_is_taken_in_a_few_looks(looks: Looks) -> None:
    spans = list(Splitter({b"a": "north"}).feed(A * 20_000))
    assert spans == [("north", A * 20_000)]
    assert looks.count <= 20_000
