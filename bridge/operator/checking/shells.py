"""Commands that what an open says can become: a program of its choice, an option, or text that is run."""

import contextlib
import os
import re
import shlex
from collections.abc import Sequence
from typing import Final, NamedTuple

from spanbridge.manifests.template import parse, variables

SHELLS: Final = frozenset(("sh", "ash", "bash", "dash", "fish", "ksh", "mksh", "rbash", "zsh", "csh", "tcsh"))
"""Names of programs that read a command line as text."""
_ENV: Final = "env"
_SPLIT: Final = ("-S", "--split-string")
"""Its options that have a command line as text for a value."""
_VALUED: Final = frozenset(("-u", "--unset", "-C", "--chdir"))
"""Options of env(1) with a value of their own."""

_DIRECT: Final = frozenset(
    ("busybox", "doas", "nice", "nohup", "pkexec", "setsid", "sudo", "systemd-run", "time", "xargs")
)
"""Names of programs that run another, the first word that is no option."""
_WRAPPERS: Final = _DIRECT.union(
    ("chroot", "chrt", "flock", "ionice", "nsenter", "prlimit", "runuser", "setarch", "setpriv", "stdbuf", "su"),
    ("systemd-inhibit", "taskset", "timeout", "unshare"),
    ("docker", "podman", "kubectl", "lxc-attach", "machinectl", "incus"),
)
"""Names of programs that run another, which is named among their arguments."""
_OPTIONS_OF_SHELLS: Final = frozenset(("-o", "+o", "-O", "+O", "--rcfile", "--init-file"))
"""Options of shells with a value of their own."""
_CODE: Final = {"python": "c", "perl": "eE", "ruby": "e", "node": "ep", "php": "r", "lua": "e"}
"""Interpreters, and their short options behind which text stands that is run."""
_AWK: Final = frozenset(("awk", "gawk", "mawk", "nawk"))
_COMMAND: Final = frozenset(("su", "runuser", "flock", "script"))
"""Programs that give the text behind -c, wherever it stands, to a shell."""
_SSH_VALUED: Final = frozenset("BbcDEeFIiJLlmOoPpQRSWw")
"""Short options of ssh with a value (ssh(1))."""

SHELL_TEXT: Final = (
    "is put into text that {} reads: whoever opens a channel can have it run anything; expected an argument of its own,"
    ' which is "$1" in the text'
)
CODE: Final = (
    "is put into text that {} runs: whoever opens a channel can have it run anything; expected an argument of its own"
)
FAR_TEXT: Final = "is put into text that a shell over there reads: whoever opens a channel can have it run anything"
EVAL: Final = "is an argument of text with eval in it: whoever opens a channel can have it run anything"
PROGRAM: Final = "names the program: whoever opens a channel can have any run"
OPTION: Final = 'is an option to {} where it begins with "-", and some have it run anything; expected "--" before it'


class Injection(NamedTuple):
    place: int
    """Index in `spawn`."""
    variable: str
    what: str
    """What becomes of it, in words."""


def injections(spawn: Sequence[str]) -> list[Injection]:
    """Where a value of the open becomes a command, or text that something takes for one."""
    program = program_behind_env(spawn)
    if split := _split_by_env(spawn):
        return split
    if program >= len(spawn):
        return []
    name = _name(spawn[program])
    found = [Injection(at, _leading(spawn[at]), PROGRAM) for at in _named(spawn, program)]
    for at in range(program, len(spawn)):
        if at > program and name not in _WRAPPERS:
            break
        found += _run_by(spawn, at)
    return found + (_of_ssh(spawn, program) if name == "ssh" else [])


def runs_a_shell(spawn: Sequence[str]) -> bool:
    program = program_behind_env(spawn)
    if program >= len(spawn):
        return False
    names = [_name(word) for word in spawn[program:]]
    return names[0] in SHELLS or (names[0] in _WRAPPERS and not SHELLS.isdisjoint(names))


def _name(word: str) -> str:
    return os.path.basename(word)


def _whole(word: str) -> str:
    """The variable that is all of the word; empty if none is."""
    named = variables(parse(word))
    return named[0] if named and word == f"${{{named[0]}}}" else ""


def _leading(word: str) -> str:
    """The variable that the word begins with; empty if it begins with text."""
    first = next(iter(parse(word)), "")
    return "" if isinstance(first, str) else first.name


def program_behind_env(spawn: Sequence[str]) -> int:
    """Where the program stands that is run at last: behind `env` and what that is told."""
    index = 0
    while index < len(spawn) and _name(spawn[index]) == _ENV:
        index += 1
        while index < len(spawn) and (spawn[index].startswith("-") or "=" in spawn[index]):
            index += 2 if spawn[index] in _VALUED else 1
    return index


def _split_by_env(spawn: Sequence[str]) -> list[Injection]:
    """What is in the text that `env -S` makes words of."""
    if not spawn or _name(spawn[0]) != _ENV:
        return []
    for at, word in enumerate(spawn):
        if (word.startswith(_SPLIT) and word not in _SPLIT) or (at and spawn[at - 1] in _SPLIT):
            with contextlib.suppress(ValueError):  # a quote that is not closed: env refuses it
                words = shlex.split(word.removeprefix("--split-string=").removeprefix("-S"))
                return [Injection(at, each.variable, each.what) for each in injections(words)]
    return []


def _named(spawn: Sequence[str], program: int) -> list[int]:
    """Where a variable is the program, or says where that lies; behind a wrapper only if no option could have it for a
    value."""
    if _leading(spawn[program]):
        return [program]
    name, following = _name(spawn[program]), program + 1
    if name == "timeout" and following < len(spawn) and spawn[following].rstrip("smhd").isdecimal():
        following += 1
    elif name not in _DIRECT:
        return []
    return [following] if following < len(spawn) and _leading(spawn[following]) else []


def _run_by(spawn: Sequence[str], program: int) -> list[Injection]:
    """What a shell or interpreter that stands there is given to run."""
    name = _name(spawn[program])
    kind = name.rstrip("0123456789.") if name.startswith("python") else name
    letters = "c" if name in SHELLS else _CODE.get(kind, "")
    if letters and _whole(file := next(iter(_words(spawn, program, letters)), "")):
        return [Injection(spawn.index(file, program), _whole(file), PROGRAM)]
    if name in SHELLS:
        text, what = _shell_text(spawn, program), SHELL_TEXT.format("a shell")
        if text is not None and re.search(r"\beval\b", spawn[text]) and not variables(parse(spawn[text])):
            arguments = ((at, each) for at in range(text + 1, len(spawn)) for each in variables(parse(spawn[at])))
            return [Injection(at, each, EVAL) for at, each in arguments]
    elif name in _AWK:
        words = [] if "-f" in spawn[program:] else _words(spawn, program, "", "-v")
        text, what = (spawn.index(words[0], program) if words else None), CODE.format(name)
    elif name in _COMMAND:
        behind = (at + 1 for at in range(program + 1, len(spawn) - 1) if spawn[at] in ("-c", "--command"))
        text, what = next(behind, None), SHELL_TEXT.format("a shell")
    elif kind in _CODE:
        text, what = _code(spawn, program, _CODE[kind]), CODE.format(name)
    else:
        return []
    return (
        [] if text is None else [Injection(text, each, what) for each in dict.fromkeys(variables(parse(spawn[text])))]
    )


def _words(spawn: Sequence[str], program: int, letters: str, *valued: str) -> Sequence[str]:
    """What follows the options of a program; nothing where one of them, of these letters, has text for it to run.
    `valued`: options with a value of their own."""
    at = program + 1
    while at < len(spawn) and spawn[at].startswith(("-", "+")):
        option = spawn[at]
        if option in ("--eval", "--print") or (option[:2] != "--" and not set(option).isdisjoint(letters)):
            return []
        at += 2 if option in valued or option in _OPTIONS_OF_SHELLS else 1
    return spawn[at:]


def _code(spawn: Sequence[str], program: int, letters: str) -> int | None:
    """Where the text stands that an interpreter is given in place of a file."""
    for at in range(program + 1, len(spawn) - 1):
        option = spawn[at]
        if not option.startswith("-"):
            return None  # a file: what comes behind it is the file's
        if option in ("--eval", "--print") or (not option.startswith("--") and option[-1] in letters):
            return at + 1
    return None


def _shell_text(spawn: Sequence[str], shell: int) -> int | None:
    """Where the text stands that a shell is given with -c."""
    index = shell + 1
    given = False
    while index < len(spawn) and spawn[index].startswith(("-", "+")):
        option = spawn[index]
        given = given or (option.startswith("-") and not option.startswith("--") and "c" in option)
        index += 2 if option in _OPTIONS_OF_SHELLS else 1
    return index if given and index < len(spawn) else None


def _of_ssh(spawn: Sequence[str], program: int) -> list[Injection]:
    """The name of the host, which may be an option, and the words of the command, which a shell over there reads."""
    index = program + 1
    while index < len(spawn) and spawn[index].startswith("-") and spawn[index] != "--":
        index += 2 if len(spawn[index]) == 2 and spawn[index][1] in _SSH_VALUED else 1
    ended = index < len(spawn) and spawn[index] == "--"
    index += ended
    host = variables(parse(spawn[index])) if index < len(spawn) else []
    found = [Injection(index, host[0], OPTION.format("ssh"))] if host and not ended and spawn[index][0] == "$" else []
    for at in range(index + 1, len(spawn)):
        if spawn[at] != "--":
            found += [Injection(at, name, FAR_TEXT) for name in dict.fromkeys(variables(parse(spawn[at])))]
    return found
