"""What a privileged helper asks, or polkit for it, and who is asked: the front end, if its `init` wanted the helper,
else the user."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..wire.front import Front
from .attempt import Attempt, Candidate
from .attendant import Asker, refuse
from .questions import Questions

if TYPE_CHECKING:
    from .polkit_helper import Asked

Prompt = Callable[[str, str, str, bool], object]
"""message, prompt, error, echo: what the user is asked."""


class _Answer:
    """Waits for one answer (attendant.Asker)."""

    def __init__(self) -> None:
        self.came = asyncio.Event()
        self.response = ""

    def answer(self, question: dict[str, Any], response: str) -> None:
        self.response = response
        self.came.set()


class Asking:
    """`attempt` and `running` give the start that goes on, and the helper that runs. `prompt` asks the user, whose name
    is `user`."""

    def __init__(
        self,
        front: Front,
        user: str,
        *,
        attempt: Callable[[], Attempt | None],
        running: Callable[[], Candidate | None],
        prompt: Prompt,
    ) -> None:
        self._questions = Questions(front, user)
        self._attempt = attempt
        self._running = running
        self._prompt = prompt

    @property
    def open(self) -> bool:
        """Whether an answer is waited for."""
        return self._questions.open

    def asked(self, asker: Asker, question: dict[str, Any]) -> None:
        """A privileged helper wants a password (attendant.Attendant)."""
        start, questions = self._attempt(), self._questions
        helper = start.helper if start is not None else self._running()
        again = start is not None and start.questions > 0
        if questions.open or helper is None or (again and start is not None and start.from_init):
            refuse(asker, question)
            return
        if start is not None:
            start.questions += 1
        if start is not None and start.from_init:
            questions.pass_on(asker, question)
            return
        said = helper.take_stderr()
        prompt = questions.prompt(asker, question)
        # Before the first question it is a greeting (sudo's lecture), after it the reason for asking again.
        self._prompt("" if again else said, prompt, said if again else "", False)

    async def ask_user(self, start: Attempt, asked: "Asked") -> str:
        """The answer to a question of polkit. An empty one: it is refused."""
        answer = _Answer()
        helper = start.helper
        if helper is not None:
            helper.asks(1)
        try:
            self._put_question(start, answer, asked)
            await answer.came.wait()
        finally:
            self._questions.forget(answer)
            if helper is not None:
                helper.asks(0)
        return answer.response

    def _put_question(self, start: Attempt, asker: Asker, asked: "Asked") -> None:
        questions, question = self._questions, {"prompt": asked.prompt}
        if questions.open or start.over.is_set() or (start.from_init and start.questions):
            refuse(asker, question)
            return
        start.questions += 1
        if start.from_init:
            questions.pass_on(asker, question)
        else:
            self._prompt(asked.told, questions.prompt(asker, question), asked.failed, asked.echo)

    def answer(self, response: str) -> bool:
        """The answer to the open prompt. False: there is none."""
        return self._questions.answer(response)

    def heed(self, message: dict[str, Any]) -> None:
        """The front end's `authorize`."""
        self._questions.heed(message)

    def forget(self, asker: Asker) -> None:
        """It is gone."""
        self._questions.forget(asker)
