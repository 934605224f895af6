"""What must come from the bridge, and what must not. Knows what was sent and done, and nothing of how a bridge works.

A channel's *life* is the time between one open of its id and its end. An id has one life after another; each has a key
that no other has, so that nothing of one can pass for something of the next.

    open      opened; frames go both ways
    done      the helper was asked to end it
    closed    closed by us: until the bridge has heeded that, what it sent before may still come
    left      the bridge has heeded it: no data may come any more, but the helper's answer, once
    over      closed by the other side, or answered
"""

from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Final, NoReturn

from spanbridge.testing.frames import Frame

from .peer import Account, payload

OPEN: Final = "open"
DONE: Final = "done"
CLOSED: Final = "closed"
LEFT: Final = "left"
OVER: Final = "over"

UNSETTLED_SECONDS: Final = 15.0
"""How long after something was done to a helper an open for it may fail, if it has no helper yet. One that has lives
and dies with that."""
_KEPT: Final = 12  # things remembered of a life, to be told when something is wrong with it


class Violation(AssertionError):
    """The bridge has done what it must not, or has not done what it must."""


class Rule:
    """One helper's rule, as the manifests have it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.generation = 0  # an argument of the helper: another one makes it another rule
        self.absent = ""  # "remove" or "break", while its package is away; "fail" while its helper fails to start
        self.disturbed_at = -1e9


class Life:
    """One life of one channel."""

    def __init__(self, ident: str, key: str, rule: Rule, now: float, before: "list[Life]") -> None:
        self.ident = ident
        self.before = before  # the life of that id which came before, and those before it if no helper had that
        self.key = key
        self.rule = rule
        self.opened_at = now
        self.state = OPEN
        self.pid = 0  # of the helper that has said `ready`
        self.generation = -1
        self.up = Account()
        self.down = Account()
        self.asked: list[int] = []  # sizes of the frames that the helper was asked for
        self.due = 0  # bytes of them that have not come
        self.reused = False  # the id has got another life
        self.story: deque[str] = deque(maxlen=_KEPT)

    def tell(self, what: str) -> None:
        self.story.append(what)

    def __str__(self) -> str:
        told = "\n".join(f"    {line}" for line in self.story)
        return (
            f"channel {self.ident}, key {self.key}, {self.state}, of {self.rule.name} generation {self.generation}, "
            f"pid {self.pid}; sent {self.up.frames} frames, asked for {len(self.asked)}, got {self.down.frames}:\n"
            f"{told}"
        )


class Model:
    """All lives, and what was done to helpers."""

    def __init__(self, rules: list[Rule], starved: Callable[[int, float], bool] = lambda pid, now: False) -> None:
        self.rules = rules
        self._starved = starved  # whether a helper, or with 0 one that was being started, had no processor
        self.of: dict[str, Life] = {}  # the last life of each id
        self.unanswered: dict[str, Life] = {}  # by key: closed by us, the answer has not come
        self.hurt: set[int] = set()  # helpers that were killed or stopped
        self.stopped: set[int] = set()
        self.starved = 0
        self.due = 0  # bytes asked for that have not come
        self.closes: Counter[str] = Counter()  # by problem
        self.lives = 0
        self.frames = Counter[str]()
        self.bytes = Counter[str]()

    # What we do

    def opened(self, ident: str, rule: Rule, now: float) -> Life:
        before = self.of.get(ident)
        assert before is None or before.state in (LEFT, OVER)
        earlier: list[Life] = []
        if before is not None:
            before.reused = True
            earlier = [before, *(before.before if before.state == LEFT and not before.pid else ())]
            before.before = []
        self.lives += 1
        life = self.of[ident] = Life(ident, f"{ident}.{self.lives}", rule, now, earlier)
        return life

    def send(self, life: Life, size: int) -> bytes:
        """The next frame's payload."""
        data = payload(life.key, "up", life.up.frames, size)
        life.up.add(data)
        self._count("up", size)
        return data

    def ask(self, life: Life, sizes: tuple[int, ...]) -> None:
        life.tell(f"asked for {len(sizes)} frames, the first of {sizes[0]} bytes")
        life.asked += sizes
        life.due += sum(sizes)
        self.due += sum(sizes)

    def close(self, life: Life) -> None:
        self._move(life, CLOSED)
        self.unanswered[life.key] = life

    def done(self, life: Life) -> None:
        self._move(life, DONE)

    def heeded(self, life: Life) -> None:
        """The bridge has answered a ping that was sent after the close."""
        if life.state == CLOSED:
            self._move(life, LEFT)
        self._forget_due(life)

    def disturb(self, rule: Rule, now: float) -> None:
        rule.disturbed_at = now

    # What comes

    def heard(self, frame: Frame, now: float) -> Life | None:
        """Take in a frame; the life whose `ready` it is, if it is one."""
        if frame.channel:
            self._data(frame.channel, frame.payload)
            return None
        message = frame.message
        command, ident = message.get("command"), message.get("channel")
        if not isinstance(ident, str):
            self.fail(f"a front end is not to be told {message}")
        life = self.of.get(ident)
        if life is None:
            self.fail(f"a channel that never was: {message}")
        if command == "ready":
            self._ready(life, message)
            return life
        if command == "done":
            if life.state != DONE or message.get("key") != life.key:
                self.fail(f"unexpected {message}", life)
        elif command == "close":
            self._close(life, message, now)
        else:
            self.fail(f"unexpected {message}", life)
        return None

    def _data(self, ident: str, data: bytes) -> None:
        life = self.of.get(ident)
        if life is None or life.state in (LEFT, OVER) or not life.pid:
            self.fail(f"data on {ident}, which is not served: {data[:80]!r}", life)
        number = life.down.frames
        if number >= len(life.asked):
            self.fail(f"data that was not asked for: {data[:80]!r}", life)
        expected = payload(life.key, "down", number, life.asked[number])
        if data != expected:
            self.fail(
                f"frame {number}: expected {len(expected)} bytes {expected[:60]!r}, found {len(data)} {data[:60]!r}",
                life,
            )
        life.down.add(data)
        life.due -= len(data)
        self.due -= len(data)
        self._count("down", len(data))

    def _ready(self, life: Life, message: dict[str, Any]) -> None:
        if life.pid or life.state in (LEFT, OVER) or message["key"] != life.key or message["name"] != life.rule.name:
            self.fail(f"unexpected {message}", life)
        life.pid, life.generation = message["pid"], message["generation"]
        life.tell(f"ready, pid {life.pid}, generation {life.generation}")

    def _close(self, life: Life, message: dict[str, Any], now: float) -> None:
        problem, key = message.get("problem"), message.get("key")
        if problem is not None:
            if life.state in (LEFT, OVER):
                self.fail(f"closed again: {message}", life)
            if not self._excused(life, problem, now):
                self.fail(f"closed for no reason: {message}", life)
            self.closes[problem] += 1
            self._over(life, f"closed: {problem}: {message.get('message')}")
            return
        if key == life.key and life.state == DONE:
            self._check_account(life, message)
            if life.down.told() != message["down"]:
                self.fail(f"the helper has sent {message['down']}, here came {life.down.told()}", life)
            self.closes["none"] += 1
            self._over(life, "closed by the helper")
            return
        answered = self.unanswered.get(str(key))
        if answered is None or (life is not answered and not self._crossed(answered, life)):
            self.fail(f"unexpected {message}", life)
        self._check_account(answered, message)
        self.closes["answer"] += 1
        self._over(answered, "answered the close")

    @staticmethod
    def _crossed(answered: Life, life: Life) -> bool:
        """Whether the answer to the close of one life may come in another: it was on its way when we opened that, or
        that was held back until it comes."""
        return answered in life.before and not life.pid and life.state != OVER

    def _check_account(self, life: Life, message: dict[str, Any]) -> None:
        """All that was sent has come, and as it was; all that was asked for was said."""
        if message["wrong"]:
            self.fail(f"the helper found: {message['wrong']}", life)
        if message["up"] != life.up.told():
            self.fail(f"{life.up.told()} was sent, the helper has {message['up']}", life)
        if message["down"][:2] != [len(life.asked), sum(life.asked)]:
            self.fail(f"the helper was asked for {len(life.asked)} frames, and has sent {message['down']}", life)

    def _excused(self, life: Life, problem: str, now: float) -> bool:
        if problem == "timeout":
            if life.pid in self.stopped or (not life.pid and self._unsettled(life, now)):
                return True
            return self._was_starved(life, now)
        if not life.pid:
            return problem in ("terminated", "not-supported", "no-session") and self._unsettled(life, now)
        return problem == "terminated" and (life.pid in self.hurt or self.is_stale(life))

    def _was_starved(self, life: Life, now: float) -> bool:
        """Then the bridge has ended it, with all its channels."""
        if not self._starved(life.pid, now):
            return False
        self.starved += 1
        life.rule.disturbed_at = now
        if life.pid:
            self.stopped.add(life.pid)
            self.hurt.add(life.pid)
        return True

    def _unsettled(self, life: Life, now: float) -> bool:
        rule = life.rule
        return bool(rule.absent) or rule.disturbed_at > min(life.opened_at, now) - UNSETTLED_SECONDS

    def is_stale(self, life: Life) -> bool:
        """Its helper's rule is in no manifest any more."""
        return bool(life.rule.absent) or life.generation != life.rule.generation

    def owed(self) -> list[Life]:
        """Lives whose end must still come: it was asked for, or their helper is unhurt and owes the answer."""
        unended = [life for life in self.of.values() if life.state in (OPEN, DONE, CLOSED)]
        unanswered = [
            life
            for life in self.unanswered.values()
            if life.state == LEFT
            and life.pid
            and not life.reused
            and life.pid not in self.hurt
            and not self.is_stale(life)
        ]
        return unended + unanswered

    def end_of_round(self) -> None:
        """Everybody is gone."""
        if owed := self.owed():
            self.fail(f"{len(owed)} channels have not ended, the first", owed[0])
        if self.due:
            self.fail(f"{self.due} bytes are still due, and all channels are over")
        self.unanswered.clear()
        self.of.clear()
        self.hurt.clear()
        self.stopped.clear()

    def _over(self, life: Life, what: str) -> None:
        self.unanswered.pop(life.key, None)
        self._move(life, OVER)
        life.tell(what)
        self._forget_due(life)

    def _forget_due(self, life: Life) -> None:
        self.due -= life.due
        life.due = 0

    def _move(self, life: Life, state: str) -> None:
        life.state = state
        life.tell(state)

    def _count(self, way: str, size: int) -> None:
        self.frames[way] += 1
        self.bytes[way] += size

    def fail(self, what: str, life: Life | None = None) -> NoReturn:
        raise Violation(f"{what}\n{life}" if life is not None else what)
