"""The schedule, played on a real bridge, with the model looking on."""

import heapq
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Final

from spanbridge.testing import processes
from spanbridge.testing.deadline import Deadline, Hang
from spanbridge.testing.frames import encode, encode_control

from . import partners, schedule
from .daemon import Daemon, Usage
from .faults import Herd, Manifests
from .model import DONE, LEFT, OPEN, OVER, Life, Model, Rule, Violation
from .schedule import Break, Close, Deaf, Edit, Kill, Say, Send, Traffic
from .served import PLACES, PREFIX, Run, Served
from .site import Site
from .starved import Starved

LIMITS: Final[Mapping[str, float | str]] = {
    "helper_queue_bytes": 1 << 20,
    "stuck_seconds": 4,
    "exit_seconds": 1,
    "term_seconds": 1,
    "handshake_seconds": 5,
    "stall_seconds": 3,
    # Longer than any stop: past it the id is used anew though the old channel's frames may still come.
    "close_answer_seconds": 20,
    "host_queue_bytes": 64 << 20,
    # What nobody uses any more ends between two rounds.
    "host_idle_seconds": 0.5,
    "extension_linger_seconds": 0.5,
}
ROUNDS: Final = 3
GUARD_SECONDS: Final = 60.0
PEAK_BYTES: Final = 256 << 20
GROWTH_BYTES: Final = 8 << 20
KEPT_CONNECTIONS: Final = 2
"""To the HTTP server: how many, is the bridge's affair."""
MOST_THREADS: Final = 16
"""Those for files come as they are needed, and stay for a while."""

_AHEAD_BYTES: Final = 2 << 20  # made and not written yet, before more is decided
_DUE_BYTES: Final = 32 << 20  # asked of helpers and not come yet
_DUE_ON_ONE: Final = 8 << 20
_LOOK_SECONDS: Final = 0.01
"""How soon again to look for an errand whose partner is to be killed; whatever comes has one look, too."""
_IDLE_TURNS: Final = 2_000


class Soak:
    """One bridge from start to end. `run` raises Violation for whatever is wrong."""

    def __init__(
        self,
        site: Site,
        seed: int,
        seconds: float,
        *,
        rounds: int = ROUNDS,
        limits: Mapping[str, float | str] | None = None,
    ) -> None:
        self._seconds = seconds
        self._rounds = rounds
        self._traffic = schedule.traffic(seed)
        self._faults = schedule.faults(seed)
        self._rules = [Rule(f"soak-{number}") for number in range(schedule.HELPERS)]
        self._site = site
        self._manifests = Manifests(site.home, self._rules)
        self._manifests.write_all()
        self._limits = {**LIMITS, **(limits or {})}
        self._daemon = Daemon(site, self._limits)
        self._starved = Starved(self._daemon.pid)
        self.model = Model(self._rules, self._was_starved)
        self._wire = self._daemon.wire
        self.served = Served(site, self._wire.put, self._ping)
        self._breaks = schedule.breaks(seed, len(self.served.partners))
        self._tasks = schedule.tasks(seed, PLACES, self.served.weights)
        self._litter: list[set[str]] = []  # after each round
        self._herd = Herd(self._daemon.pid)
        self._serving: dict[str, int] = {}  # rule -> the helper that was ready last
        self._pings: deque[Life | Run | None] = deque()  # what each ping was sent after
        self._reopen: set[str] = set()
        self._deaf_until = 0.0
        self._bus_back_at = float("inf")
        self._asleep: list[tuple[float, int, str]] = []  # when to wake which helper
        self.done: Counter[str] = Counter()
        self.usage: list[Usage] = []

    def run(self) -> None:
        with self._daemon:
            try:
                self._greet()
                for _ in range(self._rounds):
                    self._play(self._seconds / self._rounds)
                    self._settle()
                self._check_usage()
                self._daemon.end()
            finally:
                self._herd.close()

    def report(self) -> str:
        """One line of what went over and what was done."""
        model, used = self.model, self.usage
        killed = {name: self.done[name] for name in self.served.partners}
        memory = ", ".join(f"{usage.resident / (1 << 20):.1f}" for usage in used)
        return (
            f"{sum(model.frames.values())} frames, {sum(model.bytes.values()) >> 20} MiB "
            f"(up {model.frames['up']}, down {model.frames['down']}); {model.lives} opens; "
            f"{self.done['kill']} kills, {self.done['stop']} stops, {self.done['deaf']} times deaf, "
            f"{self.done['reload']} reloads; killed: {_counts(killed)}; "
            f"errands: {_counts(self.served.ended)}; failed when these were killed: {_counts(self.served.failed)}; "
            f"closes: {_counts(model.closes)}; {model.starved} helpers without a processor; "
            f"memory after each round {memory} MiB, peak {self._daemon.peak >> 20} MiB; "
            f"descriptors {', '.join(str(usage.descriptors) for usage in used)}"
        )

    # One round

    def _greet(self) -> None:
        self._wire.put(encode_control({"command": "init", "version": 1, "host": "localhost"}))
        deadline = Deadline(GUARD_SECONDS)
        while not (frames := self._wire.turn(deadline.left)):
            self._check(deadline, "an init")
        if len(frames) != 1 or frames[0].message["command"] != "init":
            raise Violation(f"expected an init, found {frames}")

    def _play(self, seconds: float) -> None:
        begun = time.monotonic()
        wait, fault = next(self._faults)
        break_wait, break_ = next(self._breaks)
        fault_at, break_at, decide_at, task_at = begun + wait, begun + break_wait, begun, begun
        while (now := time.monotonic()) < begun + seconds:
            while fault_at <= now:
                self._harm(fault, now)
                wait, fault = next(self._faults)
                fault_at += wait
            if break_at <= now and self._break(break_, now):
                break_wait, break_ = next(self._breaks)
                break_at = now + break_wait
            self._wake(now)
            while decide_at <= now and self._wire.queued < _AHEAD_BYTES:
                decide_at = max(decide_at, now) + self._act(next(self._traffic), now)
                now = time.monotonic()
            while task_at <= now and self._wire.queued < _AHEAD_BYTES:
                task = next(self._tasks)
                self.served.begin(task)
                task_at += task.pause
            due = [
                fault_at,
                max(break_at, now + _LOOK_SECONDS),
                self._bus_back_at,
                *(at for at, _, _ in self._asleep[:1]),
            ]
            if deaf := now < self._deaf_until:
                due.append(self._deaf_until)
            if self._wire.queued < _AHEAD_BYTES:
                due += [decide_at, task_at]
            self._turn(max(0.0, min(due) - now), read=not deaf)

    def _was_starved(self, pid: int, now: float) -> bool:
        limits = [float(self._limits[name]) for name in ("stall_seconds", "stuck_seconds")]
        if pid:
            return self._starved.was(pid, min(limits), now)
        return self._starved.any(float(self._limits["handshake_seconds"]), now)

    def _turn(self, seconds: float, *, read: bool = True) -> None:
        self._starved.look(time.monotonic())
        for frame in self._wire.turn(seconds, read=read):
            if not frame.channel and frame.message.get("command") == "pong" and "channel" not in frame.message:
                self._ponged()
                continue
            if (frame.channel or str(frame.message.get("channel"))).startswith(PREFIX):
                self.served.heard(frame)
                continue
            life = self.model.heard(frame, time.monotonic())
            if life is not None and self._serving.get(life.rule.name) != life.pid:
                self._serving[life.rule.name] = life.pid
                self._herd.adopt(life.pid)
        if self._wire.ended:
            raise Violation("the bridge has closed its stdout")

    def _act(self, decision: Traffic, now: float) -> float:
        """Seconds until the next."""
        ident = f"c{decision.place}"
        life = self.model.of.get(ident)
        if isinstance(decision, Close):
            if life is not None and life.state == OPEN:
                if decision.reopen:
                    self._reopen.add(ident)
                self._close(life, gently=decision.gently)
            return 0.0
        if life is None or life.state in (LEFT, OVER):
            life = self._open(ident, self._rules[decision.helper], now)
        if life.state == OPEN:
            if isinstance(decision, Send):
                self._send(life, decision.sizes)
            else:
                self._say(life, decision)
        return decision.pause

    def _open(self, ident: str, rule: Rule, now: float) -> Life:
        life = self.model.opened(ident, rule, now)
        message = {"command": "open", "channel": ident, "payload": rule.name, "key": life.key}
        self._wire.put(encode_control(message))
        return life

    def _send(self, life: Life, sizes: tuple[int, ...]) -> None:
        for size in sizes:
            self._wire.put(encode(life.ident, self.model.send(life, size)))

    def _say(self, life: Life, decision: Say) -> None:
        total = sum(decision.sizes)
        if life.due + total <= _DUE_ON_ONE and self.model.due + total <= _DUE_BYTES:
            self.model.ask(life, decision.sizes)
            self._wire.put(encode_control({"command": "options", "channel": life.ident, "say": decision.sizes}))

    def _close(self, life: Life, *, gently: bool) -> None:
        if gently:
            self.model.done(life)
            self._wire.put(encode_control({"command": "done", "channel": life.ident}))
        else:
            self.model.close(life)
            self._wire.put(encode_control({"command": "close", "channel": life.ident}))
            self._ping(life)

    def _ping(self, after: Life | Run | None) -> None:
        self._pings.append(after)
        self._wire.put(encode_control({"command": "ping"}))

    def _ponged(self) -> None:
        life = self._pings.popleft()
        if isinstance(life, Run):
            self.served.heeded(life)
        if life is None or isinstance(life, Run):
            return
        self.model.heeded(life)
        if life.ident in self._reopen:
            self._reopen.discard(life.ident)
            if self.model.of[life.ident] is life:
                self._open(life.ident, life.rule, time.monotonic())

    # Harm

    def _harm(self, fault: schedule.Fault, now: float) -> None:
        if isinstance(fault, Deaf):
            self._deaf_until = now + fault.seconds
            self.done["deaf"] += 1
            return
        rule = self._rules[fault.helper]
        if isinstance(fault, Edit):
            self._manifests.edit(fault.kind, fault.helper, now)
            self._daemon.signal(signal.SIGUSR1)
            self.done["reload"] += 1
        elif isinstance(fault, Kill):
            self._kill(rule, fault, now)
        elif self._herd.signal(pid := self._serving.get(rule.name, 0), signal.SIGSTOP):
            self._hurt(rule, pid, now)
            self.model.stopped.add(pid)
            heapq.heappush(self._asleep, (now + fault.seconds, pid, rule.name))
            self.done["stop"] += 1

    def _kill(self, rule: Rule, fault: Kill, now: float) -> None:
        pid = self._serving.get(rule.name, 0)
        if pid and fault.within_a_frame:
            for life in self.model.of.values():
                if life.rule is rule and life.state == OPEN and life.pid == pid:
                    self._hurt(rule, pid, now)
                    life.tell("told to die within a frame")
                    self._wire.put(encode_control({"command": "options", "channel": life.ident, "die": True}))
                    self.done["kill"] += 1
                    return
        if self._herd.signal(pid, signal.SIGKILL):
            self._hurt(rule, pid, now)
            self.done["kill"] += 1

    def _hurt(self, rule: Rule, pid: int, now: float) -> None:
        self.model.hurt.add(pid)
        rule.disturbed_at = now

    def _break(self, fault: Break, now: float) -> bool:
        """Whether there was somebody to be killed."""
        name = self.served.partners[fault.partner]
        if not self.served.on_their_way(name, heard=fault.heard):
            return False
        if name == partners.BUS:
            self._site.kill_the_bus()
            self._bus_back_at = now + fault.seconds
            killed = 1
        elif name == partners.SSH:
            killed = partners.kill(partners.ssh_of(self._daemon.pid))
        else:
            killed = partners.kill(partners.hosts_of_extensions(self._daemon.marked()))
        if killed:
            self.served.killed(name)
            self.done[name] += killed
        return killed > 0

    def _wake(self, now: float) -> None:
        if self._bus_back_at <= now and self._bus_back_at < float("inf"):
            self._bus_back_at = float("inf")
            self._site.serve_on_the_bus()
        while self._asleep and self._asleep[0][0] <= now:
            _, pid, name = heapq.heappop(self._asleep)
            self._herd.signal(pid, signal.SIGCONT)
            next(rule for rule in self._rules if rule.name == name).disturbed_at = now

    # The end of a round: all is closed in peace, and nothing is left

    def _settle(self) -> None:
        self._wake(float("inf"))
        now = time.monotonic()
        for rule in self._rules:
            if rule.absent:
                self._manifests.edit("shuffle", self._rules.index(rule), now)
        self._daemon.reload()
        self._reopen.clear()
        self._sync()
        self._until(lambda: self.served.idle, "the end of all errands")
        self.served.recover(self._until)
        for number, life in enumerate(list(self.model.of.values())):
            if life.state in (OPEN, DONE) and life.pid and self.model.is_stale(life):
                self.model.fail("served by a helper whose rule is in no manifest", life)
            if life.state == OPEN:
                self._close(life, gently=number % 3 > 0)
        self._until(lambda: not self.model.owed(), "the end of all channels")
        self._no_helpers()
        self._sync()
        self.model.end_of_round()
        self._manifests.write_all()
        self._daemon.reload()

    def _no_helpers(self) -> None:
        """Without rules there are none, and no zombies. Those that were stopped may have some closes to answer yet."""
        self._manifests.remove_all()
        self._daemon.reload()
        if left := self._herd.wait_ended(GUARD_SECONDS):
            raise Violation(f"helpers whose rule is gone: {left}")
        turns = 0
        while left := [pid for pid in processes.children(self._daemon.pid) if not _may_stay(pid)]:
            # Each turn of the bridge may reap some.
            turns += 1
            if turns > _IDLE_TURNS:
                raise Violation(f"children without a rule: {[processes.describe(pid) for pid in left]}")
            self._sync()
        self._serving.clear()
        self.usage.append(self._daemon.measure())
        self._litter.append(self._site.litter())

    def _sync(self) -> None:
        self._ping(None)
        self._until(lambda: not self._pings, "a pong")

    def _until(self, enough: Callable[[], bool], what: str) -> None:
        deadline = Deadline(GUARD_SECONDS)
        while not enough():
            self._turn(deadline.left)
            self._check(deadline, what)

    def _check(self, deadline: Deadline, what: str) -> None:
        if not deadline.left:
            owed = self.model.owed()
            told = f"; errands: {self.served}"
            told += f"; {len(owed)} channels are owed an end, the first: {owed[0]}" if owed else ""
            raise Hang(f"waited for {what}{told}\n{self._wire.queued} bytes wait to be written")

    def _check_usage(self) -> None:
        first, last = self.usage[0], self.usage[-1]
        if last.descriptors > first.descriptors + KEPT_CONNECTIONS or last.threads > MOST_THREADS:
            raise Violation(f"after the first round the bridge had {first}, after the last {last}")
        if left := self._litter[-1] - self._litter[0]:
            raise Violation(f"files left behind: {sorted(left)}")
        half = self.usage[len(self.usage) // 2]  # by then all that is kept for good is there
        if last.resident - half.resident > GROWTH_BYTES:
            raise Violation(f"memory has grown: {half} halfway, {last} after the last round")
        if self._daemon.peak > PEAK_BYTES:
            raise Violation(f"the bridge has used {self._daemon.peak} bytes at a time, expected at most {PEAK_BYTES}")


def _counts(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counted.items())) or "none"


def _may_stay(pid: int) -> bool:
    """The relay to the host of the extensions is the helper of a rule that is always there."""
    return "extensions.relay" in processes.describe(pid) or "extension relay" in processes.describe(pid)
