"""What was read, shared by all channels of a session."""

import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

import anyio

from spanbridge.protocol.problems import Problem

from ..base import Services
from ..served.jobs import Jobs
from .budget import Budget
from .reader import Reader
from .registry import METRICS, SUBJECTS, sampler
from .request import Request
from .values import Measured, Sample, Sampler, Taken

TOGETHER_SECONDS: Final = 0.010
"""Samples that fall due within this time are read once."""


class Readings:
    """One for a session (Services.once)."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._log = services.context.log
        self._reader = Reader()
        self._samplers: dict[str, Sampler] = {}
        self._locks = defaultdict[str, threading.Lock](threading.Lock)  # of samplers that block
        self._taken: dict[str, Taken] = {}
        self._busy: dict[str, anyio.Event] = {}  # subjects that a thread is reading
        self._told: set[str] = set()  # failures that were logged
        self.budget = Budget(time.monotonic())
        self.clipped: set[str] = set()
        """Metrics for which it was logged that they have too many instances."""

    async def take(self, request: Request, due: float, before: Mapping[str, Taken]) -> tuple[dict[str, Taken], float]:
        """All metrics of the request, newer than `before`; and the CPU time in seconds that this took."""
        spent = 0.0
        for subject, names in request.subjects.items():
            while missing := frozenset(name for name in names if not self._shared(name, due, before)):
                if subject in self._busy:
                    await self._busy[subject].wait()
                else:
                    spent += await self._read(subject, missing, due)
        return {wanted.name: self._taken[wanted.name] for wanted in request.metrics}, spent

    def _shared(self, name: str, due: float, before: Mapping[str, Taken]) -> bool:
        taken = self._taken.get(name)
        return taken is not None and abs(due - taken.due) <= TOGETHER_SECONDS and before.get(name) is not taken

    async def _read(self, subject: str, names: frozenset[str], due: float) -> float:
        """Read one subject; the CPU time."""
        if not SUBJECTS[subject].blocks:
            moment, sample, spent = self._sample(subject, names)
        else:
            read = self._busy[subject] = anyio.Event()
            try:
                moment, sample, spent = await self._services.once(Jobs).run(self._sample_alone, subject, names)
            except Problem as problem:  # no thread is to be had
                self._reader.failures[subject] = problem.message
                moment, sample, spent = _now(), {}, 0.0
            finally:
                del self._busy[subject]
                read.set()
        for name in names:
            nothing: Measured = {} if METRICS[name].instances else False
            self._taken[name] = Taken(moment, due, sample.pop(name, nothing))
        for name, measured in sample.items():
            self._taken[name] = Taken(moment, due, measured)
        self._tell_failures()
        return spent

    def _sample_alone(self, subject: str, names: frozenset[str]) -> tuple[float, Sample, float]:
        with self._locks[subject]:  # a channel that was closed may have left a thread behind
            return self._sample(subject, names)

    def _sample(self, subject: str, names: frozenset[str]) -> tuple[float, Sample, float]:
        if subject not in self._samplers:
            self._samplers[subject] = sampler(subject, self._reader)
        moment = _now()
        began = time.thread_time()
        sample = self._samplers[subject].sample(names)
        return moment, sample, time.thread_time() - began

    def _tell_failures(self) -> None:
        while self._reader.failures:
            path, why = self._reader.failures.popitem()
            if path not in self._told:
                self._told.add(path)
                self._log.warning("metrics-not-read", path=path, why=why)

    def clip(self, metrics: set[str]) -> None:
        """Log, once for each metric, that it has more instances than are shown."""
        limits = self._services.context.limits
        for name in metrics - self.clipped:
            self._log.limit("metric_instances", limits.metric_instances, metric=name)
        self.clipped |= metrics


def _now() -> float:
    """Seconds that really pass, also while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
