"""A whole session in this process: the bridge's own code, all of it but `fork`, between ends that the test holds.

The helpers are pairs of pipes. The loop is run turn by turn, so that what the bridge reads, and when, is up to the
test; what it has read is told, chunk by chunk, to whoever `listens`.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from contextvars import copy_context
from typing import Any, Final
from unittest.mock import patch

import spanbridge.helpers.dialogue
import spanbridge.helpers.started
import spanbridge.session.session
from spanbridge.helpers.dialogue import Dialogue
from spanbridge.helpers.helper import Helper
from spanbridge.limits import Limits
from spanbridge.log import Log
from spanbridge.manifests.model import Catalog, Rule
from spanbridge.protocol.frames import Span
from spanbridge.session.channels import Channels
from spanbridge.session.session import Session
from spanbridge.wire.children import Children
from spanbridge.wire.link import REST_BYTES
from spanbridge.wire.source import Source
from spanbridge.wire.watchdog import Watchdog
from spanbridge.wire.writer import Writer

from .turns import SMALLEST_PIPE, Turns, give, pipe, take, unread
from .wire import Ear, Said, encode_control

LONG: Final = 1e6  # seconds: no timer goes off


def limits(**changed: int | float) -> Limits:
    """Limits that no test comes up against by itself."""
    values: dict[str, Any] = {name: LONG for name in Limits.__struct_fields__ if name.endswith("_seconds")}
    return Limits(**{**values, "start_failures": 1 << 30, **changed})


class Told(Log):
    """A log that keeps what it is told: warnings and errors, (event, fields)."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, dict[str, object]]] = []

    def _write(self, level: str, event: str, fields: dict[str, object]) -> None:
        if level in ("warning", "error"):
            self.lines.append((event, fields))


class End:
    """One of the bridge's neighbours: what it says and hears. The bridge's ends of the pipes are the bridge's."""

    def __init__(self, to_bridge: int, from_bridge: int) -> None:
        self.to_bridge = to_bridge
        self.from_bridge = from_bridge
        self.unsaid = bytearray()
        self.said = bytearray()  # all that was written
        self.read_of_it = 0  # bytes that the bridge has read, or had the kernel move on
        self.on_heard: Callable[[Said], None] = lambda said: None
        self.ended = False  # whether the bridge has hung up
        self._ear = Ear()

    def say(self, frames: bytes) -> None:
        """Something for `write` to write."""
        self.unsaid += frames

    def write(self, count: int = 1 << 30) -> int:
        """Write at most `count` bytes of what is to be said; how many."""
        done = give(self.to_bridge, self.unsaid[:count]) if self.to_bridge >= 0 else 0
        self.said += self.unsaid[:done]
        del self.unsaid[:done]
        return done

    def read(self, count: int = 1 << 30) -> int:
        """Read at most `count` bytes; how many. `on_heard` gets each frame that is whole by that."""
        left = count
        while left > 0 and self.from_bridge >= 0 and not self.ended:
            found = take(self.from_bridge, min(left, 1 << 20))
            if found is None:
                break
            self.ended = not found
            left -= len(found)
            for said in self._ear.hear(found):
                self.on_heard(said)
        return count - left

    def hang_up(self) -> None:
        if self.to_bridge >= 0:
            os.close(self.to_bridge)
            self.to_bridge = -1

    def stop_reading(self) -> None:
        if self.from_bridge >= 0:
            os.close(self.from_bridge)
            self.from_bridge = -1

    def close(self) -> None:
        self.hang_up()
        self.stop_reading()

    @property
    def idle(self) -> bool:
        """All that it had to say has been read by the bridge, and what it has heard is whole."""
        return not self.unsaid and not unread(self.to_bridge) and not self._ear.rest


class FakeProcess(End):
    """Stands where spanbridge.helpers.process.Process does. It "runs" until `exit`."""

    def __init__(
        self,
        argv: Sequence[str],
        environ: Mapping[str, str],
        directory: str | None,
        on_exit: Callable[[], None],
        *,
        paired: bool = False,
        at_once: bool = False,
        watchdog: Watchdog,
        children: Children,
        pipe_bytes: int,
    ) -> None:
        assert not paired
        from_bridge, self.stdin = pipe(pipe_bytes)
        self.stdout, to_bridge = pipe(pipe_bytes)
        self.stderr, self._errors = pipe()
        super().__init__(to_bridge, from_bridge)
        self.name = argv[0]
        self.helper: Helper = on_exit.__self__  # type: ignore[attr-defined]
        self.exited = asyncio.Event()
        self.begun = True
        self.on_begun: Callable[[], object] = bool
        self.pid = 1 << 24  # nobody's: pids are smaller
        self.running = True
        self._loop = asyncio.get_running_loop()
        self._on_exit = on_exit
        self._context = copy_context()

    def exit(self) -> None:
        """End: its pipes close at once, and the bridge is told in the next turn, as it is by a pidfd."""
        if self.running:
            self.running = False
            self.close()
            self._loop.call_soon(self._ended, context=self._context)

    def close(self) -> None:
        super().close()
        if self._errors >= 0:
            os.close(self._errors)
            self._errors = -1

    def _ended(self) -> None:
        self.exited.set()
        self._on_exit()

    # What the bridge calls

    async def stop(self, seconds: float) -> bool:
        self.exit()
        await self.exited.wait()
        return True

    async def end_group(self, seconds: float) -> None:
        """There is no group."""
        assert not self.running

    def abandon(self) -> None:
        raise AssertionError("a helper was given up")

    @property
    def end(self) -> str:
        return "ended"

    @property
    def status(self) -> int:
        """Of one that has failed: what it has not read is lost with it, and no other one is started."""
        return 1


class Stage:
    """A session that runs. `processes` are its helpers, in the order of their start, of which `on_start` is told.

    `on_front_chunk(chunk)`, `on_helper_chunk(helper, chunk)` and `on_helper_end(helper)` are called just before the
    bridge acts on it.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        *,
        limits: Limits,
        on_start: Callable[[FakeProcess], None] = lambda process: None,
        on_front_chunk: Callable[[bytes], None] = lambda chunk: None,
        on_helper_chunk: Callable[[Helper, bytes], None] = lambda helper, chunk: None,
        on_helper_end: Callable[[Helper], None] = lambda helper: None,
        pipe_bytes: int = SMALLEST_PIPE,
        helper_pipe_bytes: int = SMALLEST_PIPE,
        rest_bytes: int = REST_BYTES,
    ) -> None:
        self.processes: list[FakeProcess] = []
        self.log = Told()
        self._helper_pipe_bytes = helper_pipe_bytes
        self._on_start = on_start
        self.turns = Turns()
        self._stack = ExitStack()
        self._stack.enter_context(patch.object(spanbridge.helpers.started, "Process", self._spawn))
        self._stack.enter_context(patch.object(spanbridge.session.session, "REST_BYTES", rest_bytes))
        self._stack.enter_context(patch.object(spanbridge.helpers.dialogue, "REST_BYTES", rest_bytes))
        self.moves = 0  # frames whose end the kernel was to move
        self._listen(on_front_chunk, on_helper_chunk, on_helper_end)
        in_fd, to_bridge = pipe(pipe_bytes)
        from_bridge, out_fd = pipe(pipe_bytes)
        self.front = End(to_bridge, from_bridge)
        catalog = Catalog(rules=tuple(rules))
        self.bridge = session = Session(
            load=lambda: catalog, limits=limits, log=self.log, environ={}, depth=0, root=True, user="nobody"
        )
        self.session = self.turns.start(session.run(catalog, self.turns.poller, in_fd, out_fd))
        self.turns.turn(3)

    def _spawn(self, *arguments: Any, **named: Any) -> FakeProcess:
        process = FakeProcess(*arguments, **named, pipe_bytes=self._helper_pipe_bytes)
        self.processes.append(process)
        self._on_start(process)
        return process

    def _listen(
        self,
        on_front_chunk: Callable[[bytes], None],
        on_helper_chunk: Callable[[Helper, bytes], None],
        on_helper_end: Callable[[Helper], None],
    ) -> None:
        front_chunk, helper_chunk, ended, move = Session._chunk, Dialogue.chunk, Channels.orphaned, Writer.move

        def of_front(session: Session, chunk: bytes) -> None:
            self.front.read_of_it += len(chunk)
            on_front_chunk(chunk)
            front_chunk(session, chunk)

        def of_helper(dialogue: Dialogue, chunk: bytes) -> None:
            for process in self.processes:
                if process.helper.dialogue is dialogue:
                    process.read_of_it += len(chunk)
                    on_helper_chunk(process.helper, chunk)
            helper_chunk(dialogue, chunk)

        def of_move(writer: Writer, held: Span, source: Source, count: int) -> int:
            """What is moved is not read: what was written tells what it is."""
            self.moves += 1
            helpers = [
                process
                for process in self.processes
                if process.helper.link and process.helper.link.reader.source is source
            ]
            end = helpers[0] if helpers else self.front
            data = bytes(end.said[end.read_of_it : end.read_of_it + count])
            assert len(data) == count
            end.read_of_it += count
            if helpers:
                on_helper_chunk(helpers[0].helper, data)
            else:
                on_front_chunk(data)
            lost: int = move(writer, held, source, count)
            return lost

        def of_end(channels: Channels, helper: Helper, *rest: Any, **named: Any) -> None:
            on_helper_end(helper)
            ended(channels, helper, *rest, **named)

        self._stack.enter_context(patch.object(Session, "_chunk", of_front))
        self._stack.enter_context(patch.object(Dialogue, "chunk", of_helper))
        self._stack.enter_context(patch.object(Channels, "orphaned", of_end))
        self._stack.enter_context(patch.object(Writer, "move", of_move))

    def turn(self, count: int = 1) -> None:
        self.turns.turn(count)
        assert self.failure is None

    @property
    def failure(self) -> dict[str, object] | None:
        """Why the session has failed, if it has."""
        return next((fields for event, fields in self.log.lines if event == "session-failed"), None)

    def begin(self) -> None:
        """The front end's `init`."""
        self.front.say(encode_control(command="init", version=1, host="localhost"))
        self.front.write()
        self.turn(2)

    def settle(self) -> None:
        """Everybody writes and reads until nothing moves any more. Helpers that hear the end of their input exit."""
        still, before = 0, -1
        while still < 3:
            ends = (self.front, *self.processes)
            moved = sum(end.write() + end.read() for end in ends)
            for process in self.processes:
                if process.ended:
                    process.exit()
            self.turn(2)
            left = sum(unread(end.to_bridge) for end in ends if end.to_bridge >= 0)
            still = still + 1 if not moved and left == before else 0
            before = left

    def end(self) -> None:
        """The front end hangs up; the session must end by itself, and leave nothing open."""
        self.front.hang_up()
        for _ in range(100):
            self.settle()
            if self.session.done():
                break
        assert self.session.done()
        assert self.session.result() == 0
        self.front.read()
        assert self.front.ended
        assert not any(process.running for process in self.processes)

    def close(self) -> None:
        """Whatever has happened, let go of all. What fails now has no more to tell."""
        self.turns.loop.set_exception_handler(lambda loop, details: None)
        try:
            self.session.cancel()
            for process in self.processes:
                process.exit()
            with suppress(AssertionError):
                self.turns.turn(20)
            with suppress(BaseException):
                self.session.exception()
            for end in (self.front, *self.processes):
                end.close()
        finally:
            self.turns.errors.clear()
            self.turns.close()
            self._stack.close()
