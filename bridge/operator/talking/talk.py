"""One channel between a bridge and our stdin and stdout.

Nothing is read from stdin while the bridge has not taken what was read before, and nothing from the bridge while stdout
has not: so memory stays flat, whoever is slow.
"""

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from spanbridge.protocol.control import frame_of, read_message
from spanbridge.protocol.frames import encode
from spanbridge.protocol.problems import Problem

from ..complain import complain, painted
from ..members import Said
from ..printable import message_line, printable
from ..recordings.follower import Garbage, Seen
from ..recordings.redact import redact
from ..recordings.stream import Stream
from ..signals import Woken
from .connection import Connection
from .cutting import Cutter
from .line_editor import LineEditor, Typed, on_terminal
from .secret import ask, prompt_of

INIT_SECONDS: Final = 30.0
PATIENT_SECONDS: Final = 3.0
"""How long nothing is said of an open that is not answered."""

_UNREAD: Final = "nobody reads it any more"
_AFTER_THE_END: Final = "the channel to be closed after the end of stdin"
_QUIET: Final = frozenset({"init", "pong"})  # told only if asked for


class Manner(NamedTuple):
    """How to read and write."""

    raw: bool  # payloads as they are
    lines: bool  # a frame for each line
    line_end: bytes  # what a line is sent with at its end
    verbose: bool


def talk(
    command: Sequence[str],
    init: dict[str, Any],
    opening: Said,
    timeout: float | None,
    manner: Manner,
    woken: Woken,
) -> int:
    """Open the channel, and stay until it is closed; the exit status. Raises StartError."""
    with contextlib.ExitStack() as stack:
        editor = None
        if os.isatty(0) and os.isatty(1) and not manner.raw:
            editor = stack.enter_context(on_terminal())
        bridge = Connection(command, logged=editor is not None)
        talked = _Talk(bridge, opening, timeout, manner, woken, editor)
        try:
            talked.begin(init)
            talked.run()
        except BaseException:
            bridge.end(woken, at_once=True)
            raise
        if editor is not None:
            editor.leave()
        ended = bridge.end(woken, at_once=talked.hurry, patience=talked.tell_of_the_wait)
        return talked.status(ended.words)


class _Talk:
    def __init__(
        self,
        bridge: Connection,
        opening: Said,
        timeout: float | None,
        manner: Manner,
        woken: Woken,
        editor: LineEditor | None,
    ) -> None:
        self._bridge = bridge
        self._opening = opening
        self._channel: str = opening.message["channel"]
        self._ident = self._channel.encode()
        self._timeout = timeout
        self._manner = manner
        self._woken = woken
        self._editor = editor
        self._paint = painted()
        self._stdin = Stream(0)
        self._stdout = Stream(1, writes=True)
        self._on_terminal = os.isatty(1) and not manner.raw
        self._cutter = Cutter(
            by_line=manner.lines or os.isatty(0), line_end=manner.line_end, text=opening.message.get("binary") != "raw"
        )
        self._waiting = memoryview(b"")  # for stdout
        self._reading = True  # stdin has not ended
        self._ready = False
        self._over = False
        self._awaited: str | None = "the init of the bridge"
        self._deadline = time.monotonic() + (timeout or INIT_SECONDS)
        self._unanswered_at: float | None = time.monotonic() + PATIENT_SECONDS  # when to tell that nothing comes
        self._problem = ""
        self._signal = 0
        self._questions: list[dict[str, Any]] = []
        self.hurry = False  # the bridge is to be ended without waiting for it to do so by itself

    # The whole of it

    def begin(self, init: dict[str, Any]) -> None:
        """Say who we are, and what we want; the bridge need not have spoken."""
        self._send(init)
        self._send(self._opening.message, encode(b"", self._opening.payload))

    def run(self) -> None:
        """Until the channel is over."""
        while not self._over or self._waiting:
            self._step(self._events())

    def status(self, ended: str) -> int:
        """The exit status, once the bridge has `ended`; a problem is told."""
        if self._problem:
            text = self._problem.replace("{ended}", ended)
            self._tell(self._paint("red", f"spanbridge open: {printable(text)}"))
        if self._signal:
            return 128 + self._signal
        return 1 if self._problem else 0

    def tell_of_the_wait(self, seconds: float) -> None:
        """The bridge has not ended at once: somebody at a terminal should know what goes on."""
        if os.isatty(2):
            again = "another Ctrl-C" if self._signal else "Ctrl-C"
            self._tell(f"waiting for the bridge to end, at most {seconds:.0f} s; {again} ends it")

    def _events(self) -> dict[int, int]:
        poll = select.poll()
        poll.register(self._woken.fd, select.POLLIN)
        bridge = self._bridge
        bridge.wire.register(poll, read=not self._waiting)
        poll.register(1, select.POLLOUT if self._waiting else 0)
        if not bridge.wire.waiting and self._reading and not self._editor:
            poll.register(0, select.POLLIN)
        if self._editor:
            poll.register(self._editor.fd, select.POLLIN)
            if bridge.stderr >= 0:
                poll.register(bridge.stderr, select.POLLIN)
        ends = [self._deadline] if self._awaited is not None else []
        ends += [self._unanswered_at] if self._unanswered_at is not None else []
        return dict(poll.poll(max(0.0, min(ends) - time.monotonic()) * 1000 if ends else None))

    def _step(self, events: dict[int, int]) -> None:
        if not events and self._unanswered_at is not None and time.monotonic() >= self._unanswered_at:
            self._tell(f"no answer to the open for {PATIENT_SECONDS:.0f} s; still waiting")
            self._unanswered_at = None
        elif not events and self._awaited is not None and time.monotonic() >= self._deadline:
            self._give_up(f"timed out waiting for {self._awaited}")
        if not self._waiting and events.get(1, 0) & (select.POLLERR | select.POLLHUP):
            self._lose_stdout(_UNREAD)
        steps: list[tuple[int, Callable[[], None]]] = [
            (self._woken.fd, self._heed_signals),
            (self._bridge.stderr, self._pass_log),
            (1, self._write),
            (0, self._read_stdin),
        ]
        for fd, step in steps:
            if fd in events:
                step()
        self._read_bridge(events)
        if self._editor and self._editor.fd in events and not self._over:
            self._typed(self._editor.take(), self._editor)

    def _end(self, problem: str = "") -> None:
        self._over = True
        self._reading = False
        self._awaited = None
        self._unanswered_at = None
        self._problem = self._problem or problem

    def _give_up(self, problem: str) -> None:
        """The bridge does not do what a bridge does: nothing is to be hoped for from a polite end."""
        self.hurry = True
        self._end(problem)

    def _await(self, what: str | None) -> None:
        """Wait for something, if it may not take for ever."""
        self._awaited = None if self._timeout is None else what
        self._move_deadline()

    def _move_deadline(self) -> None:
        """Something goes on: the time begins anew."""
        if self._awaited is not None:
            self._deadline = time.monotonic() + (self._timeout or INIT_SECONDS)

    def _heed_signals(self) -> None:
        for number in self._woken.take():
            self._interrupt(number)

    def _interrupt(self, number: int) -> None:
        if self._signal:
            self.hurry = True
        self._signal = self._signal or number
        if not self._over:
            self._send({"command": "close", "channel": self._channel})
        self._end()
        self._waiting = memoryview(b"")

    # From the bridge

    def _read_bridge(self, events: dict[int, int]) -> None:
        found = self._bridge.wire.step(events)
        if found is None:
            if not self._over:
                self._end("the bridge has ended before the channel was closed: it {ended}")
            return
        for each in found:
            self._move_deadline()
            if not self._over:
                self._heed(each)
        self._write()

    def _heed(self, found: Seen | Garbage) -> None:
        if isinstance(found, Garbage):
            self._give_up(f"the bridge sent something else than frames: {found.reason}")
        elif not found.channel:
            try:
                command, channel, message = read_message(found.payload)
            except Problem as problem:
                self._give_up(f"the bridge broke the protocol: {problem.message}")
                return
            self._control(command, channel, message)
        elif found.channel == self._ident:
            self._payload(found.payload)

    def _control(self, command: str, channel: str | None, message: dict[str, Any]) -> None:
        if self._manner.verbose or command not in _QUIET:
            self._told("<", "blue", message)
        handler = _HANDLERS.get(command)
        if handler is not None and channel in (None, self._channel):
            handler(self, message)

    def _initialised(self, message: dict[str, Any]) -> None:
        if message.get("problem"):
            self._end(f"the bridge gave up: {_why(message)}")
        elif message.get("version") != 1:
            self._give_up(f"the bridge speaks version {message.get('version')!r} of the protocol, expected 1")
        elif not self._ready:
            self._await("an answer to the open")

    def _served(self, message: dict[str, Any]) -> None:
        if self._ready:
            return
        self._ready = True
        self._unanswered_at = None
        self._await(None if self._reading else _AFTER_THE_END)
        if self._editor:
            self._editor.ask()

    def _closed(self, message: dict[str, Any]) -> None:
        self._end(f"the channel was closed: {_why(message)}" if message.get("problem") else "")

    def _pinged(self, message: dict[str, Any]) -> None:
        self._send({**message, "command": "pong"})

    def _asked(self, message: dict[str, Any]) -> None:
        if "challenge" not in message:
            return
        self._questions.append(message)
        if self._editor and self._ready:  # somebody may be typing a line
            self._tell(self._paint("yellow", "a question: press Enter to be asked"))
        else:
            self._answer()

    def _answer(self) -> None:
        while self._questions:
            question = self._questions.pop(0)
            response = ask(prompt_of(question), self._woken)
            if response is None:
                self._tell(self._paint("yellow", f"no answer given: {printable(prompt_of(question)).strip()}"))
            answer = {"command": "authorize", "cookie": question.get("cookie"), "response": response or ""}
            self._send(answer)
            self._move_deadline()

    def _payload(self, payload: bytes) -> None:
        if not self._on_terminal:
            self._waiting = memoryview(bytes(self._waiting) + payload) if self._waiting else memoryview(payload)
            self._write()
            return
        text = printable(payload.decode(errors="backslashreplace"), keep="\n\t")
        line = text if text.endswith("\n") else f"{text}\n"
        if self._editor:
            self._editor.show(line)
        else:
            self._waiting = memoryview(bytes(self._waiting) + line.encode(errors="backslashreplace"))

    def _write(self) -> None:
        try:
            while self._waiting:
                done = self._stdout.write(self._waiting, [])
                if not done:
                    return
                self._waiting = self._waiting[done:]
                self._move_deadline()
        except OSError as error:
            self._lose_stdout(_UNREAD if isinstance(error, BrokenPipeError) else str(error.strerror))

    def _lose_stdout(self, why: str) -> None:
        self._waiting = memoryview(b"")
        if not self._over:
            self._send({"command": "close", "channel": self._channel})
        self._end(f"stdout: {why}")

    # To the bridge

    def _send(self, message: dict[str, Any], frame: bytes | None = None) -> None:
        """`frame`: the message as it was written, where that may say more."""
        if self._manner.verbose:
            self._told(">", "green", message)
        self._bridge.wire.send(frame or frame_of(message))

    def _read_stdin(self) -> None:
        if not self._reading:
            return
        try:
            data = self._stdin.read()[0]
        except BlockingIOError:
            return
        except OSError as error:
            self._tell(f"stdin: {error.strerror}")
            data = b""
        if not data:
            self._done()
        else:
            self._send_payloads(self._cutter.feed(data))

    def _send_payloads(self, payloads: list[bytes]) -> None:
        self._bridge.wire.send(b"".join(encode(self._ident, payload) for payload in payloads))

    def _done(self) -> None:
        """The end of stdin: all that is left, and that it is all."""
        if not self._reading:
            return
        self._reading = False
        self._send_payloads(self._cutter.end())
        self._send({"command": "done", "channel": self._channel})
        if self._ready:
            self._await(_AFTER_THE_END)

    def _typed(self, typed: Typed, editor: LineEditor) -> None:
        if typed.interrupted:
            self._interrupt(signal.SIGINT)
        elif typed.line is None:
            self._done()
        else:
            line = typed.line.encode(errors="surrogateescape")
            if line or not self._questions:
                self._bridge.wire.send(encode(self._ident, line + self._manner.line_end))
            self._answer()
            editor.ask()

    # To people

    def _told(self, arrow: str, style: str, message: dict[str, Any]) -> None:
        command, _, rest = message_line(redact(message)[0], self._channel).partition(" ")
        style = "red" if message.get("problem") else style
        self._tell(f"{self._paint(style, f'{arrow} {command}')} {self._paint('dim', rest)}".rstrip())

    def _tell(self, line: str) -> None:
        if self._editor:
            self._editor.show(f"{line}\n")
        else:
            complain(line)

    def _pass_log(self) -> None:
        for line in self._bridge.log().decode(errors="backslashreplace").splitlines():
            self._tell(self._paint("dim", f"bridge: {printable(line)}"))


_HANDLERS: Final[dict[str, Callable[[_Talk, dict[str, Any]], None]]] = {
    "init": _Talk._initialised,
    "ready": _Talk._served,
    "close": _Talk._closed,
    "ping": _Talk._pinged,
    "authorize": _Talk._asked,
}


def _why(message: dict[str, Any]) -> str:
    problem, text = message.get("problem"), message.get("message")
    return f"{problem}: {text}" if text else str(problem)
