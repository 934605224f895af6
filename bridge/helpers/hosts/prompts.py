"""Questions of ssh that somebody in front of the session is to answer: `/hosts` on the internal bus shows them."""

import asyncio
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ...limits import Limits
from ...log import Log
from ...payloads.other_hosts import NoSuchPrompt, Question
from .askpass_socket import Asking


class Prompt(NamedTuple):
    """One that is open. `answered` is called where an answer comes, `failed` where none does, `over` in any case."""

    ident: str
    host: str
    asking: Asking
    answered: Callable[[], None]
    failed: Callable[[], None]
    over: Callable[[], None]
    timer: asyncio.TimerHandle


class Prompts:
    """All that are open. `show` tells those who listen, and is None while there is nobody who could."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits, log: Log) -> None:
        self._loop = loop
        self._limits = limits
        self._log = log
        self._open: dict[str, Prompt] = {}
        self._numbers: Iterator[int] = iter(range(1, 1 << 62))
        self.listened: Callable[[], bool] = lambda: False
        self.show: Callable[[str, str, Question], None] = lambda ident, host, question: None

    def ask(
        self,
        host: str,
        asking: Asking,
        *,
        answered: Callable[[], None],
        failed: Callable[[], None],
        over: Callable[[], None],
    ) -> bool:
        """Have somebody asked; what is called as in Prompt. False: nobody listens."""
        if not self.listened():
            return False
        ident = str(next(self._numbers))
        timer = self._loop.call_later(self._limits.host_prompt_seconds, self._expire, ident)
        self._open[ident] = Prompt(ident, host, asking, answered, failed, over, timer)
        asking.on_gone = lambda: self._take_if_open(ident)
        self.show(ident, host, asking.question)
        return True

    def answer(self, ident: str, text: str) -> None:
        """Raises NoSuchPrompt."""
        prompt = self._take(ident)
        prompt.asking.answer(text)
        prompt.answered()
        prompt.over()

    def cancel(self, ident: str) -> None:
        """Raises NoSuchPrompt."""
        prompt = self._take(ident)
        prompt.failed()
        prompt.over()

    def forget(self, asking: Asking) -> None:
        """Whoever asked is about to be ended: an answer would be of no use."""
        for ident in [ident for ident, prompt in self._open.items() if prompt.asking is asking]:
            self._take(ident).over()

    def nobody_listens(self) -> None:
        """As if all were cancelled."""
        for ident in list(self._open):
            self.cancel(ident)

    def _expire(self, ident: str) -> None:
        self._log.limit("host_prompt_seconds", self._limits.host_prompt_seconds, host=self._open[ident].host)
        self.cancel(ident)

    def _take_if_open(self, ident: str) -> None:
        """Whoever asked has gone."""
        if ident in self._open:
            self._take(ident).over()

    def _take(self, ident: str) -> Prompt:
        prompt = self._open.pop(ident, None)
        if prompt is None:
            raise NoSuchPrompt(f"no question {ident!r} is open")
        prompt.timer.cancel()
        return prompt
