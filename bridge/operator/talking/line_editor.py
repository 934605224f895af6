"""Lines typed on a terminal, with editing and history, while other things are printed.

readline does it, in a thread of its own that waits for one line at a time. prompt_toolkit was tried: it asks terminals
where the cursor is, and waits for those that do not say.
"""

import contextlib
import os
import queue
import termios
import threading
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

PROMPT: Final = "> "
_PROMPT_SECONDS: Final = 1.0  # longer than readline takes to show it; a terminal that was hung up shows none


class Typed(NamedTuple):
    """A line without its end; None at the end of the input. `interrupted`: Ctrl-C instead of a line."""

    line: str | None
    interrupted: bool = False


class LineEditor:
    """`fd` can be read when something was typed; `take` gives it, and `ask` has the next line read."""

    def __init__(self, read: Callable[[], str], show: Callable[[str], None], leave: Callable[[], None]) -> None:
        self._read = read
        self.show = show
        """Prints whole lines above the one that is edited."""
        self.leave = leave
        """Edit no more: the prompt is wiped, or the line that stands behind it is left as it is."""
        self._wanted: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._typed: queue.SimpleQueue[Typed] = queue.SimpleQueue()
        self.fd, self._told = os.pipe2(os.O_CLOEXEC)
        # It may wait for a line that nobody will type: the end of the program must not wait for it.
        threading.Thread(target=self._run, name="line editor", daemon=True).start()

    def ask(self) -> None:
        """Have one line read."""
        self._wanted.put(True)

    def take(self) -> Typed:
        """What was typed."""
        os.read(self.fd, 1)
        return self._typed.get()

    def _run(self) -> None:
        while self._wanted.get():
            try:
                typed = Typed(self._read())
            except KeyboardInterrupt:
                typed = Typed(None, interrupted=True)
            except (EOFError, OSError, ValueError):
                typed = Typed(None)
            self._typed.put(typed)
            os.write(self._told, b".")


@contextlib.contextmanager
def on_terminal() -> Iterator[LineEditor]:
    """An editor on stdin and stdout; the terminal is as it was after it."""
    before = termios.tcgetattr(0)
    try:
        editor = LineEditor(*_with_readline())
        try:
            yield editor
        finally:
            editor.leave()
    finally:
        with contextlib.suppress(termios.error):
            termios.tcsetattr(0, termios.TCSADRAIN, before)


def _with_readline() -> tuple[Callable[[], str], Callable[[str], None], Callable[[], None]]:
    import readline

    changed = threading.Condition()
    stage = "waits"  # begun, shown, and waits again; at the end left

    def settle() -> None:
        changed.wait_for(lambda: stage != "begun", _PROMPT_SECONDS)

    def prompt_shown() -> None:
        nonlocal stage
        with changed:
            if stage == "begun":
                stage = "shown"
                changed.notify()

    def read() -> str:
        nonlocal stage
        with changed:
            if stage == "left":
                raise EOFError
            stage = "begun"
        try:
            return input(PROMPT)
        finally:
            with changed:
                if stage != "left":
                    stage = "waits"
                    changed.notify()

    def show(text: str) -> None:
        with changed:
            settle()
            # readline cannot be told that its line has moved: it is wiped, and written anew below what is shown.
            again = f"{PROMPT}{readline.get_line_buffer()}" if stage == "shown" else ""
        os.write(1, f"\r\33[K{text}{again}".encode(errors="backslashreplace"))

    def leave() -> None:
        nonlocal stage
        with changed:
            settle()  # a terminal that is restored before readline has set it would stay as readline sets it
            editing, stage = stage == "shown", "left"
        if editing:
            # The thread stays in readline, which writes nothing unless a key is hit.
            with contextlib.suppress(OSError):
                os.write(1, b"\n" if readline.get_line_buffer() else b"\r\33[K")

    # An editor without the hook behind the prompt (libedit) has the one before it: the terminal is set by then as well.
    getattr(readline, "set_pre_input_hook", readline.set_startup_hook)(prompt_shown)
    return read, show, leave
