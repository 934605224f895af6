"""A password, asked for on the terminal, where it is not shown."""

import os
import select
import termios
from typing import Any, Final

from ..printable import printable
from ..signals import Woken

TERMINAL: Final = "/dev/tty"
_PLAIN: Final = "plain1:"
LONGEST: Final = 4_096  # bytes; what a terminal takes as one line (termios(3))


def prompt_of(question: dict[str, Any]) -> str:
    """What to ask, for an `authorize` message with a challenge (docs/superuser.md, "At the beginning")."""
    if question.get("prompt"):
        return str(question["prompt"])
    challenge = str(question["challenge"])
    user = challenge.removeprefix(_PLAIN) if challenge.startswith(_PLAIN) else ""
    try:
        return f"Password for {bytes.fromhex(user).decode()}: " if user else "Password: "
    except ValueError:
        return "Password: "


def ask(prompt: str, woken: Woken) -> str | None:
    """What was typed after `prompt`; None without a terminal, or if a signal came first, which is left to be taken."""
    try:
        fd = os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _ask(fd, prompt, woken)
    except (OSError, termios.error):  # it was hung up
        return None
    finally:
        os.close(fd)


def _ask(fd: int, prompt: str, woken: Woken) -> str | None:
    before = termios.tcgetattr(fd)
    silent = before[:]
    silent[3] = silent[3] & ~termios.ECHO | termios.ICANON | termios.ISIG
    termios.tcsetattr(fd, termios.TCSAFLUSH, silent)
    try:
        os.write(fd, printable(prompt).encode(errors="backslashreplace"))
        ready, _, _ = select.select([fd, woken.fd], [], [])
        if woken.fd in ready:
            return None
        typed = os.read(fd, LONGEST)
    finally:
        termios.tcsetattr(fd, termios.TCSAFLUSH, before)
        os.write(fd, b"\n")
    if not typed:
        return None
    return typed.removesuffix(b"\n").decode(errors="surrogateescape")
