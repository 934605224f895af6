"""What a shell offers for a command line, with our completion and no configuration of anybody's."""

import os
import select
import shlex
import subprocess
from pathlib import Path
from typing import Final

from spanbridge.testing.bridge import SPANBRIDGE
from spanbridge.testing.deadline import SECONDS, Deadline, Hang

from ..docs.pages import DOCS

COMPLETIONS: Final = DOCS / "completions"
_END: Final = "---end---"
"""What is written behind the offers for one line."""


def environ(home: Path) -> dict[str, str]:
    path = f"{SPANBRIDGE.parent}:/usr/bin:/bin"
    return {"HOME": str(home), "PATH": path, "TERM": "dumb", "LANG": "C.UTF-8", "XDG_DATA_DIRS": "/nonexistent"}


def bash(home: Path, *lines: str) -> list[list[str]]:
    """What bash offers for the last word of each of `lines`."""
    script = f"""
        set -u
        source {shlex.quote(str(COMPLETIONS / "spanbridge.bash"))}
        offer() {{
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
            _spanbridge spanbridge
            printf '%s\\n' "${{COMPREPLY[@]}}" {_END}
        }}
    """
    for line in lines:
        script += f"offer {' '.join(map(shlex.quote, _words(line)))}\n"
    return _offers(["bash", "--norc", "-c", script], home)


def _words(line: str) -> list[str]:
    """As bash has them: `=` is a word of its own."""
    words = []
    for word in line.split(" "):
        name, equals, value = word.partition("=")
        words += [each for each in (name, equals, value) if each] or [""]
    return words


def fish(home: Path, *lines: str) -> list[list[str]]:
    """What fish offers for the last word of each of `lines`."""
    script = f"source {shlex.quote(str(COMPLETIONS / 'spanbridge.fish'))}\n"
    for line in lines:
        script += f"complete -C {shlex.quote(line)}; echo {_END}\n"
    return _offers(["fish", "--no-config", "-c", script], home)


def _offers(command: list[str], home: Path) -> list[list[str]]:
    done = subprocess.run(
        command, capture_output=True, text=True, env=environ(home), cwd=home, check=False, timeout=SECONDS
    )
    assert (done.returncode, done.stderr) == (0, "")
    return _parts(done.stdout)


def _parts(text: str) -> list[list[str]]:
    return [[offer.partition("\t")[0] for offer in part.splitlines() if offer] for part in text.split(f"{_END}\n")[:-1]]


_ZSHRC: Final = """
    PROMPT='ready>' RPROMPT='' PROMPT_EOL_MARK=''
    unsetopt zle_bracketed_paste 2>/dev/null
    setopt no_list_beep no_always_last_prompt
    zstyle ':completion:*' list-prompt ''
    LISTMAX=10000
    fpath=({directory} $fpath)
    autoload -Uz compinit && compinit -u -D
    compadd() {{
        local -a hits
        if [[ " ${{(j: :)@[1,(i)(-|--)]}}" != *" -"(O|A|D)* ]]; then
            builtin compadd -O hits "$@"
            print -rl -- $hits >>{offers}
        fi
        builtin compadd "$@"
    }}
    end-of-line-offers() {{ print -r -- {end} >>{offers} }}
    zle -N end-of-line-offers
    bindkey '^X^E' end-of-line-offers
"""


def zsh(home: Path, *lines: str) -> list[list[str]]:
    """What zsh offers for the last word of each of `lines`: typed on a terminal, with a tab behind it."""
    offers = home / "offers"
    (home / ".zshrc").write_text(
        _ZSHRC.format(directory=shlex.quote(str(COMPLETIONS)), offers=shlex.quote(str(offers)), end=_END)
    )
    offers.write_text("")
    ours, theirs = os.openpty()
    try:
        process = subprocess.Popen(
            ["zsh", "-d", "-i"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**environ(home), "ZDOTDIR": str(home)},
            cwd=home,
            start_new_session=True,
        )
        os.close(theirs)
        _read(ours, b"ready>")  # from now on the line editor takes what is typed
        typed = "".join(f"{line}\t\x18\x05\x15" for line in lines)
        os.write(ours, f"{typed}exit\r".encode())
        _read(ours, b"")
        process.wait(SECONDS)
    finally:
        os.close(ours)
    return [sorted(set(part)) for part in _parts(offers.read_text())]


def _read(terminal: int, awaited: bytes) -> None:
    """Read until `awaited` has come; nothing: to the end."""
    deadline, said = Deadline(), b""
    while not awaited or awaited not in said:
        if not select.select([terminal], [], [], deadline.left)[0]:
            raise Hang(f"waited for {awaited!r}; the shell has said {said!r}")
        try:
            chunk = os.read(terminal, 65_536)
        except OSError:  # the shell has gone
            chunk = b""
        if not chunk:
            assert not awaited, said
            return
        said += chunk
