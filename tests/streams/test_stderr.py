"""What programs say on stderr: lines of the log, a turn at a time."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from spanbridge.limits import Limits
from spanbridge.log import Log
from spanbridge.payloads.base import Lasting
from spanbridge.payloads.streams.stderr import Stderr
from spanbridge.wire.context import Context

LINES = 10_000
TURN = 500  # more lines than one turn logs


class Run:
    """A program's stderr without an event loop: a test says what comes next."""

    def __init__(self) -> None:
        reading, self.writing = os.pipe()
        os.set_blocking(reading, False)
        self.told: list[object] = []
        self.later: deque[Callable[[], None]] = deque()
        self.reader: Callable[[], None] | None = None
        context = SimpleNamespace(
            limits=Limits(),
            log=Log(sink=self._told),
            loop=SimpleNamespace(call_soon=self.later.append),
            poller=SimpleNamespace(watch_read=self._watch),
        )
        self.lasting: list[Lasting] = []
        self.stderr = Stderr(cast(Context, context), reading, "program", 1, self.lasting.append)

    def _told(self, level: str, event: str, fields: dict[str, Any]) -> None:
        self.told.append(fields["line"])

    def _watch(self, fd: int, reader: Callable[[], None] | None) -> None:
        self.reader = reader

    def says(self, data: bytes) -> None:
        os.write(self.writing, data)

    def turn(self) -> None:
        """The next of those that the loop calls."""
        before = len(self.told)
        if self.later:
            self.later.popleft()()
        elif self.reader is not None:
            self.reader()
        assert len(self.told) <= before + TURN

    def turns(self) -> None:
        while self.later:
            self.turn()


@pytest.fixture
def run() -> Iterator[Run]:
    made = Run()
    yield made
    made.stderr.close()
    os.close(made.writing)


def test_many_short_lines_are_logged_in_several_turns(run: Run) -> None:
    lines = [f"{number}" for number in range(LINES)]
    run.says("\n".join(lines).encode())
    run.turn()
    assert 0 < len(run.told) < LINES
    assert run.reader is None, "it is read no more meanwhile"
    run.turns()
    assert run.told == lines[:-1]
    run.says(b"9\n")
    run.turn()
    assert run.told == [*lines[:-1], "99999"]
    assert not run.later


@pytest.mark.parametrize("closed", [False, True])
def test_what_was_read_is_logged_though_the_program_is_over(run: Run, closed: bool) -> None:
    run.says(b"a\n" * LINES)
    run.turn()
    run.says(b"b")
    (run.stderr.close if closed else run.stderr.finish)()
    assert run.reader is None
    run.turns()
    assert run.told == ["a"] * LINES + ([] if closed else ["b"])


def test_the_session_outlasts_what_is_to_be_logged(run: Run) -> None:
    run.says(b"a\n")
    run.turn()
    assert not run.lasting
    for _ in range(2):
        run.says(b"a\n" * LINES)
        run.turn()
        (lasting,) = run.lasting
        assert not lasting.is_set()
        run.turns()
        assert lasting.is_set()
        run.lasting.clear()


def test_the_end_of_many_lines_is_kept_at_once(run: Run) -> None:
    run.says(b"a\n" * LINES + b"end")
    run.stderr.finish()
    assert len(run.told) < TURN
    assert run.stderr.text.endswith("a\nend")
    run.turns()
    assert run.told == ["a"] * LINES + ["end"]
