"""What ssh asks through its askpass program (docs/hosts.md, "Questions")."""

import re
from enum import Enum
from typing import Final, NamedTuple


class Kind(Enum):
    """What sort of question it is, which decides who answers."""

    PASSWORD = "password"  # noqa: S105 - or one of keyboard-interactive, by our own ssh
    PASSPHRASE = "passphrase"  # noqa: S105 - of a key
    HOST_KEY = "host-key"  # of a jump host
    TOUCH = "touch"  # a key waits for its owner's finger; there is nothing to answer
    OTHER = "other"


class Question(NamedTuple):
    """`messages`: the lines before the prompt itself. `path`: of the key whose passphrase is asked for, else empty."""

    kind: Kind
    prompt: str
    messages: str = ""
    path: str = ""
    confirm: bool = False


_PASSPHRASE: Final = re.compile(r"Enter passphrase for (?:key )?'?(.*?)'?: ?")
_HOST_KEY: Final = re.compile(r"(?s).*\bcontinue connecting \(yes/no(?:/\[fingerprint\])?\)\? ?")
# The second is of keyboard-interactive as ssh before 8.5 passes it on, without saying of whom it is.
_PASSWORD: Final = re.compile(r"[^\n]*'s password: ?|Password: ?")
_INTERACTIVE: Final = re.compile(r"(?s)\([^)\n]*@[^)\n]*\) .*")


def read_question(text: str, hint: str, *, ours: bool) -> Question:
    """`text` is the prompt, `hint` the value of SSH_ASKPASS_PROMPT. `ours`: it is asked by our own ssh, and not by one
    that this has started for a jump host."""
    messages, _, prompt = text.rstrip("\n").rpartition("\n")
    if hint == "none":
        return Question(Kind.TOUCH, prompt, messages)
    if _HOST_KEY.fullmatch(text):
        return Question(Kind.HOST_KEY, prompt, messages)
    passphrase = _PASSPHRASE.fullmatch(text)
    if passphrase is not None:
        return Question(Kind.PASSPHRASE, prompt, messages, path=passphrase[1])
    confirm = hint == "confirm"
    asks = not confirm and (_PASSWORD.fullmatch(text) or _INTERACTIVE.fullmatch(text)) is not None
    return Question(Kind.PASSWORD if ours and asks else Kind.OTHER, prompt, messages, confirm=confirm)


def is_interactive(question: Question) -> bool:
    """Whether a PASSWORD question is one of keyboard-interactive."""
    text = f"{question.messages}\n{question.prompt}" if question.messages else question.prompt
    return _INTERACTIVE.fullmatch(text) is not None


def asks_by_name(question: Question) -> bool:
    """Whether it is for the password of the account, in the words of ssh itself."""
    return question.kind is Kind.PASSWORD and _PASSWORD.fullmatch(question.prompt) is not None
