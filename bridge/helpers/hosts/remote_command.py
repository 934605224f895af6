"""What ssh is to run over there: one line that every login shell takes.

sh, bash, zsh, csh, tcsh and fish agree on what stands between single quotes as long as there is no `!` (csh), no
backslash (fish) and no line feed in it. What begins there is a plain POSIX shell.
"""

from typing import Final

BRIDGES: Final = ("spanbridge", "cockpit-bridge")
"""The programs that are looked for, in this order."""
NOTHING_FITS: Final = 127
"""The exit status where there is none of them."""
PYTHON_WORD: Final = "python3"
"""Begins the line with which a Python tells of itself, instead of a bridge's first frame (sending.py)."""

# Reads one line of Python from stdin, byte by byte so that what follows is left there, and runs it. No quote in it.
_PYTHON: Final = (
    "import os,sys,platform;"
    "print(sys.argv[1],*sys.version_info[:2],os.uname().machine,*platform.libc_ver(),flush=True);"
    "exec(bytes().join(iter(lambda:os.read(0,1)or bytes([10]),bytes([10]))))"
)


def remote_command(mark: str, *, send: bool) -> str:
    """The line. `mark` is printed first, as a line of its own: what came before it is noise of login scripts. `send`:
    where there is no bridge, a Python waits to be told what to run."""
    steps = ["PATH=$PATH:$HOME/.local/bin:/usr/local/bin", "export PATH", f"echo {mark}"]
    steps += [f"if command -v {name} >/dev/null 2>&1; then exec {name}; fi" for name in BRIDGES]
    if send:
        steps.append(f'if command -v python3 >/dev/null 2>&1; then exec python3 -I -c "{_PYTHON}" {PYTHON_WORD}; fi')
    steps.append(f"exit {NOTHING_FITS}")
    return f"exec sh -c '{'; '.join(steps)}'"
