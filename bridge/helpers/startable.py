"""Whether a command can be started, without starting it: what execvp(3) would say, and why the kernel says so."""

import errno
import os
import stat
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from ..wire.find_program import candidates, find_program

ARGUMENT_BYTES: Final = 32 * os.sysconf("SC_PAGE_SIZE")  # the longest of one argument or variable, its NUL included
_BINFMT_MISC: Final = "/proc/sys/fs/binfmt_misc"
_HEAD_BYTES: Final = 256
_INTERPRETERS: Final = 5  # how many `#!` the kernel follows


class Program(NamedTuple):
    """What would be run. `why`: why it cannot be, as the bridge says it; empty if nothing speaks against it."""

    path: str
    why: str
    detail: str
    """What more there is to say of it to people."""


def look_up(argv: Sequence[str], environ: Mapping[str, str], directory: str | None, own_directory: str) -> Program:
    """The program of `argv`, as it would be found from `directory` with the PATH of `environ`.

    `directory` None: `own_directory`, the bridge's own, which a relative one starts from.
    """
    name = argv[0]
    base = own_directory
    if directory is not None:
        base = os.path.join(own_directory, directory)
        wrong = _directory(base)
        if wrong:
            return Program("", f"working directory {directory}: {os.strerror(wrong)}", "")
    found: list[tuple[int, str, str]] = []
    for path in candidates(name, environ):
        code, detail = _run(os.path.join(base, path))
        if not code:
            if _too_long(argv, environ):
                return Program(path, f"{name}: arguments and environment are longer than the system allows", "")
            return Program(path, "", "")
        found.append((code, path, detail))
    telling = [each for each in found if each[0] not in (errno.ENOENT, errno.ENOTDIR)]
    code, path, detail = (telling or [each for each in found if each[2]] or found[-1:])[0]
    if telling or detail:
        return Program(path, f"{name}: {os.strerror(code)}", detail)
    code, path, _ = found[-1]
    detail = "" if "/" in name else f"looked for in PATH={':'.join(os.get_exec_path(dict(environ)))}"
    return Program("", f"{name}: {os.strerror(code)}", detail)


def first_line(path: str, environ: Mapping[str, str]) -> str:
    """What is wrong with the first line of a script that the kernel starts all the same; empty: nothing to be told.

    One whose interpreter is named by way of `env` is started: it is env(1) that looks for the interpreter then, and
    ends with status 127. One that begins with a byte order mark is run by /bin/sh, whatever the line says.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return ""
    if head.startswith(b"\xef\xbb\xbf#!"):
        return f"{path} begins with a byte order mark, so that its first line counts for nothing: /bin/sh runs it"
    first, newline, _ = head.partition(b"\n")
    words = (
        os.fsdecode(first[2:]).replace("\t", " ").strip(" ").split(" ", 1) if head.startswith(b"#!") and newline else []
    )
    if len(words) < 2 or os.path.basename(words[0]) != "env":
        return ""
    names = [words[1].strip(" ")]  # the kernel gives all of it as one argument, which -S takes apart
    if names[0].startswith("-"):
        names = [word for word in names[0].split() if not word.startswith("-") and "=" not in word]
    if not names or find_program(names[0], environ):
        return ""
    shown = f"{names[0]!r}" if names[0].isprintable() else ascii(names[0])
    told = f"its interpreter {shown}, in the first line of {path}, by way of env: {os.strerror(errno.ENOENT)}"
    return f"{told}; env wants -S before more than one word" if " " in names[0] else told


def _directory(path: str) -> int:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return error.errno or errno.EIO
    except ValueError:  # a NUL in it
        return errno.EINVAL
    if not stat.S_ISDIR(mode):
        return errno.ENOTDIR
    return 0 if os.access(path, os.X_OK, effective_ids=True) else errno.EACCES


def _run(path: str, deep: int = 0) -> tuple[int, str]:
    """The error of execve for `path`, 0 for none, and what more there is to say."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return error.errno or errno.EIO, ""
    if not stat.S_ISREG(mode):
        return errno.EACCES, f"{path} is {'a directory' if stat.S_ISDIR(mode) else 'not a file'}"
    if not os.access(path, os.X_OK, effective_ids=True):
        return errno.EACCES, f"{path} may not be executed: chmod +x"
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:  # may be run, not read
        return 0, ""
    if head.startswith(b"\x7fELF") or _others_registered():
        return 0, ""
    if not head.startswith(b"#!"):
        return 0, ""  # run by /bin/sh, as execvp(3) does
    # Only these two are space there: a carriage return is part of the name.
    words = head[2:].partition(b"\n")[0].replace(b"\t", b" ").strip(b" ").split(b" ", 1)
    if not words[0]:
        return 0, ""  # the same: to the kernel this is no program
    interpreter = os.fsdecode(words[0])
    if deep >= _INTERPRETERS:
        return errno.ELOOP, ""
    code, detail = _run(interpreter, deep + 1)
    if not code:
        return 0, ""
    shown = f"{interpreter!r}" if interpreter.isprintable() else ascii(interpreter)
    return code, detail or f"its interpreter {shown}, in the first line of {path}: {os.strerror(code)}"


def _others_registered() -> bool:
    """Whether the kernel has been told of further kinds of programs (binfmt_misc): then anything may be one."""
    try:
        return bool(set(os.listdir(_BINFMT_MISC)) - {"register", "status"})
    except OSError:
        return False


def _too_long(argv: Sequence[str], environ: Mapping[str, str]) -> bool:
    texts = [os.fsencode(text) for text in argv]
    texts += [os.fsencode(f"{name}={value}") for name, value in environ.items()]
    pointers = 8 * (len(texts) + 2)
    return any(len(text) >= ARGUMENT_BYTES for text in texts) or (
        sum(len(text) + 1 for text in texts) + pointers > os.sysconf("SC_ARG_MAX")
    )
