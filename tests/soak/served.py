"""Errands on their way: a few channels, each with one after the other, all checked."""

from collections import Counter, deque
from collections.abc import Callable
from typing import Final

from spanbridge.testing.deadline import Deadline
from spanbridge.testing.frames import Frame, encode, encode_control

from . import errands
from .errands import Errand, Order, Outcome
from .model import Violation
from .partners import NEEDS, PARTNERS, SSH, misfortune
from .schedule import Task
from .site import Site

PREFIX: Final = "e"
PLACES: Final = 40
_BACK_SECONDS: Final = 60.0  # at most until one that was killed serves again; what failed to start rests for a while
_KEPT: Final = 400  # keys that are remembered; the database keeps the last 1000


class Run:
    """One errand on its channel."""

    def __init__(self, kind: str, errand: Errand, place: int, *, cut: bool) -> None:
        self.kind = kind
        self.key = ""
        self.place = place
        self.errand = errand
        self.outcome = Outcome()
        self.cut = cut  # closed by us at once: nothing need come of it, but an end
        self.closed = False  # by us
        self.needs = ""  # a partner's name
        self.excused = False  # it is or was shaken meanwhile
        self.deaths = 0  # of its partner, before it was begun
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
        self.partners = [name for name in PARTNERS if site.host or name != SSH]
        self._shaken: set[str] = set()
        self._deaths: Counter[str] = Counter()
        self._answered: deque[str] = deque(maxlen=_KEPT)  # keys
        self.ended: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()  # by partner: excused
        self.begun = 0

    @property
    def idle(self) -> bool:
        return not self._runs

    def __str__(self) -> str:
        return ", ".join(f"{ident} {run.kind} {run.outcome.told}" for ident, run in self._runs.items())

    def begin(self, task: Task) -> None:
        """If its place has nothing to do."""
        if task.place not in self._busy:
            make = self._kinds[task.kind]
            order = self._order(task.place, task.sizes)
            self._begin(make.__name__, make(self._site, order), order, NEEDS.get(make, ""), cut=task.cut)

    def on_their_way(self, name: str, *, heard: bool) -> bool:
        """Whether some errand needs that partner now, and has `heard` something."""
        runs = (run for run in self._runs.values() if run.needs == name and not run.closed)
        return any(run.outcome.told or run.outcome.data or not heard for run in runs)

    def killed(self, name: str) -> None:
        """That partner was: those on their way may fail."""
        self._shaken.add(name)
        self._deaths[name] += 1
        for run in self._runs.values():
            run.excused |= run.needs == name

    def recover(self, until: Callable[[Callable[[], bool], str], None]) -> None:
        """Nothing is on its way: try each partner that was killed until it serves again, and look at what was kept."""
        for name in sorted(self._shaken):
            deadline = Deadline(_BACK_SECONDS)
            while name in self._shaken:
                if not deadline.left:
                    raise Violation(f"{name} was killed, and all errands have failed since")
                make = PARTNERS[name].probe
                order = self._order(0, (20,))
                self._begin(make.__name__, make(self._site, order), order, name)
                until(lambda: self.idle, f"{name}, killed before")
        order = self._order(0, ())
        self._begin("kept", errands.kept(self._site, order, tuple(self._answered)), order, "")
        until(lambda: self.idle, "what was kept")

    def _order(self, place: int, sizes: tuple[int, ...]) -> Order:
        self.begun += 1
        return Order(f"{PREFIX}{place}.{self.begun}", place, sizes)

    def _begin(self, kind: str, errand: Errand, order: Order, needs: str, *, cut: bool = False) -> None:
        self._busy.add(order.place)
        run = Run(kind, errand, order.place, cut=cut or kind == errands.watched_file.__name__)
        run.key, run.needs = order.key, needs
        run.excused, run.deaths = needs in self._shaken, self._deaths[needs]
        # The answer of a helper may cross the next open, and nothing in it would tell whose it is.
        self._start(order.key if run.by_helper else f"{PREFIX}{order.place}", run)

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
        wrong = run.errand.wrong(run.outcome)
        if wrong and run.excused:
            self.failed[run.needs] += 1
            wrong = misfortune(run.needs, run.errand, run.outcome)
            if not wrong:
                return
        if wrong:
            raise Violation(f"{run.kind} on {ident}: {wrong}")
        self.ended[run.kind] += 1
        if run.deaths == self._deaths[run.needs]:
            self._shaken.discard(run.needs)
        if run.kind == errands.extension.__name__:
            self._answered.append(run.key)
        if run.errand.then is not None:
            self._busy.add(run.place)
            self._start(ident, Run(run.kind, run.errand.then, run.place, cut=False))
