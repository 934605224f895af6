"""The event loop's selector, with a short way for the descriptors of links.

asyncio takes an event through a selector key, a handle, a queue and a context before it calls anybody: some 10 us,
twice the cost of all else that a small frame costs on its way. Here the callback of a link's descriptor is called right
where epoll reports it. Everything else (timers, signals, tasks) is asyncio's, unchanged.
"""

import asyncio
import select
import selectors
from collections.abc import Callable
from typing import Any, Final

_READ: Final = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR | select.EPOLLRDHUP
_WRITE: Final = select.EPOLLOUT | select.EPOLLHUP | select.EPOLLERR
_MOST: Final = 256  # events taken in one turn

Callback = Callable[[], None]


class Poller(selectors.EpollSelector):
    """An epoll selector that also calls `watch`ed callbacks itself.

    A descriptor is either watched here or registered by the event loop, not both. What a callback raises goes to the
    exception handler of the event loop.
    """

    def __init__(self) -> None:
        super().__init__()
        self._stale: set[int] = set()  # given up, or taken up, since epoll was last asked: its events are of before
        self._watched: dict[int, list[Callback | None]] = {}  # descriptor -> [reader, writer]
        self._epoll: select.epoll = self._selector  # type: ignore[attr-defined]

    def watch_read(self, fd: int, callback: Callback | None) -> None:
        """Call `callback` whenever `fd` can be read, or has ended; None: no more."""
        self._watch(fd, 0, callback)

    def watch_write(self, fd: int, callback: Callback | None) -> None:
        """Call `callback` whenever `fd` can be written, or nobody reads it; None: no more."""
        self._watch(fd, 1, callback)

    def _watch(self, fd: int, which: int, callback: Callback | None) -> None:
        callbacks = self._watched.get(fd)
        known = callbacks is not None
        if callbacks is None:
            callbacks = self._watched[fd] = [None, None]
        callbacks[which] = callback
        mask = (select.EPOLLIN if callbacks[0] else 0) | (select.EPOLLOUT if callbacks[1] else 0)
        if not mask or not known:
            self._stale.add(fd)
        if not mask:
            del self._watched[fd]
            if known:
                self._epoll.unregister(fd)
        elif known:
            self._epoll.modify(fd, mask)
        else:
            try:
                self._epoll.register(fd, mask)
            except BaseException:
                del self._watched[fd]
                raise

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = super().register(fileobj, events, data)
        self._stale.add(key.fd)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        key = super().unregister(fileobj)
        self._stale.add(key.fd)
        return key

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """As EpollSelector.select, for what the event loop registered; the callbacks of the others are called."""
        wait = -1.0 if timeout is None else max(timeout, 0.0)
        try:
            events = self._epoll.poll(wait, _MOST)
            if not events and wait > 0:
                # Time is over: timers are next. After a pause (SIGSTOP, a frozen container) that may be all that was
                # seen, while much has come in time.
                events = self._epoll.poll(0, _MOST)
        except InterruptedError:
            return []
        ready: list[tuple[selectors.SelectorKey, int]] = []
        watched, stale = self._watched, self._stale
        stale.clear()
        for fd, event in events:
            if fd in stale:
                continue
            callbacks = watched.get(fd)
            if callbacks is None:
                key = self.get_map().get(fd)
                if key is not None:
                    found = (event & ~select.EPOLLIN and selectors.EVENT_WRITE) | (
                        event & ~select.EPOLLOUT and selectors.EVENT_READ
                    )
                    ready.append((key, found & key.events))
                continue
            reader, writer = callbacks
            try:
                if event & _WRITE and writer is not None:
                    writer()
                    # It may have closed the descriptor, or stopped reading it.
                    if reader is not None and (watched.get(fd) is not callbacks or callbacks[0] is not reader):
                        continue
                if event & _READ and reader is not None:
                    reader()
            except Exception as error:  # noqa: BLE001 - there is no caller that could handle it
                details = {"message": "in a callback of a link", "exception": error}
                asyncio.get_running_loop().call_exception_handler(details)
        return ready
