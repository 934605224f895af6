"""Errands on their way: a few channels, each with one after the other, all checked."""

from collections import Counter
from collections.abc import Callable
from typing import Final

from spanbridge.testing.frames import Frame, encode, encode_control

from . import errands
from .errands import Errand, Outcome
from .model import Violation
from .schedule import Task
from .site import Site

PREFIX: Final = "e"
PLACES: Final = 40


class Run:
    """One errand on its channel."""

    def __init__(self, kind: str, errand: Errand, place: int, *, cut: bool) -> None:
        self.kind = kind
        self.place = place
        self.errand = errand
        self.outcome = Outcome()
        self.cut = cut  # closed by us at once: nothing need come of it, but an end
        self.closed = False  # by us
        self.by_helper = "host" in errand.options or errand.options.get("internal") == "extensions"


class Served:
    """`put` writes a frame; `ping` writes a ping, and calls back with the run when its pong has come."""

    def __init__(self, site: Site, put: Callable[[bytes], None], ping: Callable[[Run], None]) -> None:
        self._site = site
        self._put = put
        self._ping = ping
        self._busy: set[int] = set()  # places
        self._left: set[str] = set()  # closed by us without an answer, which may come from a helper yet
        self._runs: dict[str, Run] = {}
        self._kinds = [kind for kind in errands.KINDS if site.host or kind not in errands.FAR]
        self.weights = [errands.KINDS[kind] for kind in self._kinds]
        self.ended: Counter[str] = Counter()
        self.begun = 0

    @property
    def idle(self) -> bool:
        return not self._runs

    def __str__(self) -> str:
        return ", ".join(f"{ident} {run.kind} {run.outcome.told}" for ident, run in self._runs.items())

    def begin(self, task: Task) -> None:
        """If its place has nothing to do."""
        if task.place in self._busy:
            return
        self._busy.add(task.place)
        self.begun += 1
        make = self._kinds[task.kind]
        order = errands.Order(f"{PREFIX}{task.place}.{self.begun}", task.place, task.sizes)
        run = Run(make.__name__, make(self._site, order), task.place, cut=task.cut or make is errands.watched_file)
        # The answer of a helper may cross the next open, and nothing in it would tell whose it is.
        self._start(order.key if run.by_helper else f"{PREFIX}{task.place}", run)

    def _start(self, ident: str, run: Run) -> None:
        self._runs[ident] = run
        self._put(encode_control({"command": "open", "channel": ident, **run.errand.options}))
        for data in run.errand.sends:
            self._put(encode(ident, data))
        if run.errand.done:
            self._put(encode_control({"command": "done", "channel": ident}))
        if run.cut:
            self._close(ident, run)

    def _close(self, ident: str, run: Run) -> None:
        run.closed = True
        self._put(encode_control({"command": "close", "channel": ident}))
        if run.cut and run.by_helper:
            self._ping(run)

    def heeded(self, run: Run) -> None:
        """The bridge has read the close of one that was cut; it need not be answered."""
        for ident in [ident for ident, other in self._runs.items() if other is run]:
            self._left.add(ident)
            self._over(ident, run)

    def heard(self, frame: Frame) -> None:
        """A frame of a channel of ours."""
        ident = frame.channel or frame.message["channel"]
        run = self._runs.get(ident)
        if run is None:
            if ident not in self._left or frame.channel or frame.message["command"] != "close":
                raise Violation(f"nothing is going on on {ident}: {frame}")
            self._left.discard(ident)
            return
        if frame.channel:
            run.outcome.data.append(frame.payload)
            if len(run.outcome.data) == run.errand.closed_by_us and not run.closed:
                self._close(ident, run)
            return
        command = frame.message["command"]
        if command == "ping":
            self._put(encode_control({**frame.message, "command": "pong"}))
            return
        run.outcome.told[command] = frame.message
        if command == "close":
            self._over(ident, run)

    def _over(self, ident: str, run: Run) -> None:
        del self._runs[ident]
        self._busy.discard(run.place)
        if run.cut:
            self.ended["cut"] += 1
            return
        if wrong := run.errand.wrong(run.outcome):
            raise Violation(f"{run.kind} on {ident}: {wrong}")
        self.ended[run.kind] += 1
        if run.errand.then is not None:
            self._busy.add(run.place)
            self._start(ident, Run(run.kind, run.errand.then, run.place, cut=False))
