"""What ssh is to run over there: one line that every login shell takes.

sh, bash, zsh, csh, tcsh and fish agree on what stands between single quotes as long as there is no `!` (csh), no
backslash (fish) and no line feed in it. What begins there is a plain POSIX shell.
"""

from typing import Final

BRIDGES: Final = ("spanbridge", "cockpit-bridge")
"""The programs that are looked for, in this order."""
NOTHING_FITS: Final = 127
"""The exit status where there is none of them."""
PYTHON: Final = "python3"
"""What is left where there is no bridge: it waits to be told what to run (sending.py)."""

# Reads one line of Python from stdin, byte by byte so that what follows is left there, and runs it. No quote in it.
_READ_ON: Final = (
    "import os,sys,platform;"
    "print(*sys.version_info[:2],os.uname().machine,*platform.libc_ver(),flush=True);"
    "exec(bytes().join(iter(lambda:os.read(0,1)or bytes([10]),bytes([10]))))"
)


def remote_command(mark: str, *, send: bool) -> str:
    """The line. Before anything else it prints a line that begins with `mark`, and has the name of the program behind a
    blank if there is one: what came before it is noise of login scripts. `send`: a Python will do."""
    steps = ["PATH=$PATH:$HOME/.local/bin:/usr/local/bin", "export PATH"]
    steps += [_run(name, name, mark) for name in BRIDGES]
    if send:
        steps.append(_run(PYTHON, f'{PYTHON} -I -c "{_READ_ON}"', mark))
    steps += [f"echo {mark}", f"exit {NOTHING_FITS}"]
    return f"exec sh -c '{'; '.join(steps)}'"


def _run(name: str, command: str, mark: str) -> str:
    return f"if command -v {name} >/dev/null 2>&1; then echo {mark} {name}; exec {command}; fi"
