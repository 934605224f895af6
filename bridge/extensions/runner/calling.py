"""Calling a handler, and what its answer is."""

import contextlib
import inspect
import itertools
import sys
import traceback
from collections.abc import Callable
from types import FunctionType
from typing import Any, Final

from ..errors import HttpError
from .http import Answer, Req, Res, error_answer
from .router import Step


def next_of(go_on: list[BaseException | None]) -> Callable[..., None]:
    def go(error: BaseException | None = None) -> None:
        go_on.append(error)

    return go


class _Answered(Exception):
    def __init__(self, answer: Answer) -> None:
        self.answer = answer


def raise_answer(answer: Answer) -> None:
    raise _Answered(answer)


def nobody(methods: set[str]) -> Answer:
    if not methods:
        return error_answer(404, "not-found", "there is no such path")
    allow = ", ".join(sorted(methods))
    return error_answer(405, "method-not-allowed", f"the path has {allow}", [("Allow", allow)])


def is_async(handler: Callable[..., Any]) -> bool:
    found = _async.get(id(handler))
    if found is None:
        found = _async[id(handler)] = _is_async(handler)
    return found


def _is_async(handler: Callable[..., Any]) -> bool:
    call = getattr(handler, "__call__", None)  # noqa: B004 - an object may have a coroutine for it
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(call)


def _takes(handler: Callable[..., Any]) -> int:
    """How many arguments it takes by position; three, if it is any number."""
    if type(handler) is FunctionType and not handler.__dict__:  # a plain one tells without `inspect`
        return 3 if handler.__code__.co_flags & inspect.CO_VARARGS else handler.__code__.co_argcount
    try:
        parameters = inspect.signature(handler).parameters.values()
    except (TypeError, ValueError):
        return 2
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return 3
    return sum(each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) for each in parameters)


_NOT_AWAITED: Final = frozenset({dict, list, tuple, str, bytes, type(None), Res})
# By id: handlers live as long as the router, and need not be hashable.
_arity: dict[int, int] = {}
_async: dict[int, bool] = {}


def called(step: Step, req: Req, res: Res, after: Any = None) -> Any:
    handler = step.handler
    count = _arity.get(id(handler))
    if count is None:
        count = _arity[id(handler)] = _takes(handler)
    req.params = step.params
    if step.middleware:
        return handler(req, res, after)
    return handler(req) if count == 1 else handler(req, res)


def is_awaitable(value: Any) -> bool:
    """Whether it is to be waited for."""
    # What most handlers return need not be looked at by way of abstract classes.
    return type(value) not in _NOT_AWAITED and inspect.isawaitable(value)


def whole(value: Any, res: Res) -> Answer:
    """The answer. What a generator does before its first piece belongs to the handler still: it may raise, too."""
    answer = res.answer if res.answer is not None else res.returned(value)
    if hasattr(answer.body, "__next__"):
        return answer._replace(body=FirstMade(answer.body))
    return answer


class FirstMade:
    """A generator whose first piece is made already."""

    __slots__ = ("_first", "_rest")

    def __init__(self, rest: Any) -> None:
        """Raises what the generator raises."""
        self._rest = rest
        self._first = list(itertools.islice(rest, 1))

    def __next__(self) -> Any:
        return self._first.pop() if self._first else next(self._rest)

    def close(self) -> None:
        close = getattr(self._rest, "close", None)
        if close is not None:
            close()


def answered_or_failed(res: Res, error: BaseException) -> Answer:
    """What goes out for a handler that has raised: its answer, if it had given one before."""
    if res.answer is None:
        return failure(error)
    tell(error)
    return res.answer


def failure(error: BaseException) -> Answer:
    if isinstance(error, _Answered):
        return error.answer
    if isinstance(error, HttpError):
        try:
            return error_answer(error.status, error.code, error.message)
        except Exception as unsendable:  # noqa: BLE001 - whatever was given for a status, or a text
            error = unsendable
    tell(error)
    return error_answer(500, "internal-error", "the handler failed, see the log of the extension")


def tell(error: BaseException) -> None:
    """The exception, for the log alone."""
    with contextlib.suppress(Exception):  # it may have closed what it prints to
        traceback.print_exception(error, file=sys.stderr)
