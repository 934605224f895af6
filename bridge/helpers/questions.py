"""What a privileged helper asks while it comes up, and later (docs/superuser.md, "Passwords").

One question is open at a time. It goes to the front end as `authorize`, where the front end's own `init` had asked for
the helper, else to the user as a prompt. Answers are handed on and not kept.
"""

from typing import Any

from spanbridge.protocol.control import control

from ..wire.front import Front
from .attendant import Asker


class Question:
    """One that waits for its answer. `cookie`: under which it was passed on to the front end; None: it is a prompt."""

    __slots__ = ("_asked", "_asker", "cookie")

    def __init__(self, asker: Asker, asked: dict[str, Any], cookie: str | None) -> None:
        self._asker = asker
        self._asked = asked
        self.cookie = cookie

    def of(self, asker: Asker) -> bool:
        """Whether it is this helper that asks."""
        return self._asker is asker

    def answer(self, response: str) -> None:
        self._asker.answer(self._asked, response)

    @property
    def prompt(self) -> str:
        prompt = self._asked.get("prompt")
        return prompt if isinstance(prompt, str) else ""


class Questions:
    """The open question. `user` is the name that passwords are asked of."""

    __slots__ = ("_front", "_open", "_passed_on", "_user")

    def __init__(self, front: Front, user: str) -> None:
        self._front = front
        self._user = user
        self._open: Question | None = None
        self._passed_on = 0

    @property
    def open(self) -> bool:
        return self._open is not None

    def pass_on(self, asker: Asker, asked: dict[str, Any]) -> None:
        """Ask the front end."""
        self._passed_on += 1
        cookie = f"superuser-{self._passed_on}"
        self._open = Question(asker, asked, cookie)
        challenge = "plain1:" + self._user.encode().hex()
        self._front.put(control("authorize", cookie=cookie, challenge=challenge))

    def prompt(self, asker: Asker, asked: dict[str, Any]) -> str:
        """Ask the user, of whom `answer` comes; what is asked."""
        self._open = Question(asker, asked, None)
        return self._open.prompt

    def forget(self, asker: Asker) -> None:
        """Whoever asked takes no answer any more."""
        if self._open is not None and self._open.of(asker):
            self._open = None

    def answer(self, response: str) -> bool:
        """The user's answer; False where no prompt is open."""
        question = self._open
        if question is None or question.cookie is not None:
            return False
        self._open = None
        question.answer(response)
        return True

    def heed(self, message: dict[str, Any]) -> None:
        """The front end's `authorize`: an answer to what was passed on to it; dropped where it answers nothing."""
        response, question = message.get("response"), self._open
        if question is not None and question.cookie is not None and message.get("cookie") == question.cookie:
            self._open = None
            question.answer(response if isinstance(response, str) else "")
