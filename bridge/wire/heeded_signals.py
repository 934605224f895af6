"""Signals that the session heeds, however many come."""

import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import anyio


@contextmanager
def heeded_signals(*numbers: signal.Signals) -> Iterator[AsyncIterator[signal.Signals]]:
    """As anyio.open_signal_receiver. None of these comes before that is whole."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    with anyio.open_signal_receiver(*numbers) as signals:
        quiet_when_full()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        yield signals


def quiet_when_full() -> None:
    """A signal for which there is no room in what wakes the loop tells nothing new. asyncio has a traceback printed for
    each: whoever sends them fast enough could keep us at that. To be called once a handler was added."""
    signal.set_wakeup_fd(signal.set_wakeup_fd(-1), warn_on_full_buffer=False)
