"""Commands that what an open says can become: a program of its choice, or text for a shell."""

import os
from collections.abc import Sequence
from typing import Final, NamedTuple

from spanbridge.manifests.template import parse, variables

SHELLS: Final = frozenset(("sh", "ash", "bash", "dash", "fish", "ksh", "mksh", "zsh", "csh", "tcsh"))
"""Names of programs that read a command line as text."""
_ENV: Final = "env"
_VALUED: Final = frozenset(("-u", "--unset", "-C", "--chdir"))
"""Options of env(1) with a value of their own."""


class Injection(NamedTuple):
    place: int
    """Index in `spawn`."""
    variable: str
    text: bool
    """It is put into text that a shell reads; False: it names the program."""


def injections(spawn: Sequence[str]) -> list[Injection]:
    """Where a value of the open becomes a command, or text that a shell takes for one."""
    found = []
    program = _program(spawn)
    if program < len(spawn) and (named := variables(parse(spawn[program]))) and spawn[program] == f"${{{named[0]}}}":
        found.append(Injection(program, named[0], text=False))
    text = _shell_text(spawn, program)
    if text is not None:
        found += [Injection(text, name, text=True) for name in dict.fromkeys(variables(parse(spawn[text])))]
    return found


def runs_a_shell(spawn: Sequence[str]) -> bool:
    program = _program(spawn)
    return program < len(spawn) and os.path.basename(spawn[program]) in SHELLS


def _program(spawn: Sequence[str]) -> int:
    """Where the program stands that is run at last: behind `env` and what that is told."""
    index = 0
    while index < len(spawn) and os.path.basename(spawn[index]) == _ENV:
        index += 1
        while index < len(spawn) and (spawn[index].startswith("-") or "=" in spawn[index]):
            index += 2 if spawn[index] in _VALUED else 1
    return index


def _shell_text(spawn: Sequence[str], program: int) -> int | None:
    """Where the text stands that a shell is given with -c."""
    if not runs_a_shell(spawn):
        return None
    for index in range(program + 1, len(spawn)):
        option = spawn[index]
        if not option.startswith(("-", "+")):
            return None
        if option.startswith("-") and not option.startswith("--") and "c" in option:
            following = (at for at in range(index + 1, len(spawn)) if not spawn[at].startswith(("-", "+")))
            return next(following, None)
    return None
