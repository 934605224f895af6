"""The reference for a whole session: docs/protocol.md in the plainest way, with all queues unbounded and no timers.

It is told what the bridge has read, chunk by chunk in the order in which the bridge did, and which helpers have
exited. What each side must hear of each channel follows.
"""

import json
from collections import deque
from typing import Any

from ..protocol.slow_splitter import Malformed, SlowSplitter
from .wire import Said, encode_control, said

FORWARD, DROP = "forward", "drop"
ONLY_FRONT_END = {"open", "options", "kill", "hint", "logout"}


class SlowRule:
    """`match`, members with their values, and `problem` as in a manifest; `name` is what it spawns."""

    def __init__(self, name: str, problem: str | None = None, **match: str) -> None:
        self.name = name
        self.problem = problem
        self.match = match

    def takes(self, message: dict[str, Any]) -> bool:
        return all(message.get(member) == value for member, value in self.match.items())


class Life:
    """A channel from its open to its end. An id has many, one after another."""

    def __init__(self, ident: str, frame: bytes, message: dict[str, Any], rules: list[SlowRule]) -> None:
        self.ident = ident
        self.group = message.get("group")
        self.payload = message.get("payload")
        self.text = message.get("binary") != "raw"
        self.rules = rules
        self.left = list(rules)  # not tried yet
        self.frames = [frame]  # the open, and all that came while nobody had the channel
        self.waits_for: SlowHelper | None = None
        self.helper: SlowHelper | None = None
        self.echo = False


class SlowHelper:
    def __init__(self, rule: SlowRule) -> None:
        self.rule = rule
        self.state = "starting"
        self.splitter = SlowSplitter({})
        self.routes: dict[str, str] = {}
        self.waiting: dict[str, Life] = {}
        self.unanswered: set[str] = set()  # ids closed towards it
        self.held: dict[str, Life] = {}  # opens of those ids
        self.hears: list[Said] = []


class SlowForwarder:
    def __init__(self, rules: list[SlowRule]) -> None:
        self.rules = rules
        self.table: dict[str, Life] = {}
        self.helpers: list[SlowHelper] = []  # in the order in which they are started
        self.front_hears: list[Said] = []
        self.answering: dict[str, SlowHelper] = {}  # whose answer to a close the front end gets
        self.unanswered: list[str] = []  # the bridge's own, closed in this chunk
        self.splitter = SlowSplitter({})

    # What the bridge has read

    def from_front(self, chunk: bytes) -> None:
        for given in self.splitter.feed(chunk):
            if given.ident:
                self.to_channel(given.ident.decode(), given.frame)
            else:
                self.front_control(given.frame)
        for ident in self.unanswered:
            if ident not in self.table:
                self.front_hears.append(said(encode_control(command="close", channel=ident)))
        self.unanswered = []

    def from_helper(self, helper: SlowHelper, chunk: bytes) -> None:
        if helper.state == "ended":
            return
        try:
            for given in helper.splitter.feed(chunk):
                if not (self.helper_data if given.ident else self.helper_control)(helper, given.ident, given.frame):
                    self.end(helper, "protocol-error")
                if helper.state == "ended":
                    return
        except Malformed:
            self.end(helper, "terminated")

    def exited(self, helper: SlowHelper) -> None:
        self.end(helper, "terminated")

    # The front end

    def front_control(self, frame: bytes) -> None:
        message = json.loads(frame.split(b"\n", 2)[2])
        ident = message.get("channel")
        command = message["command"]
        if command == "open":
            rules = [rule for rule in self.rules if rule.takes(message)]
            self.advance(Life(ident, frame, message, rules))
        elif command == "close":
            self.close(ident, frame, tell=True)
        elif command == "kill":
            self.kill(message.get("group"))
        elif ident is not None:
            self.to_channel(ident, frame)
        elif command == "ping":
            self.front_hears.append(said(encode_control(**{**message, "command": "pong"})))

    def to_channel(self, ident: str, frame: bytes) -> None:
        life = self.table.get(ident)
        if life is None:
            return
        if life.helper is not None:
            life.helper.hears.append(said(frame))
        elif life.echo:
            self.echo(life, said(frame))
        else:
            life.frames.append(frame)

    def close(self, ident: str, frame: bytes, *, tell: bool) -> None:
        life = self.table.pop(ident, None)
        if life is None:
            return
        if life.helper is not None:
            life.helper.hears.append(said(frame))
            life.helper.routes[ident] = DROP
            life.helper.unanswered.add(ident)
            if tell:
                self.answering[ident] = life.helper
        elif life.waits_for is not None:
            life.waits_for.waiting.pop(ident, None)
            life.waits_for.held.pop(ident, None)
        if tell and life.echo:
            self.unanswered.append(ident)

    def kill(self, group: str | None) -> None:
        for ident, life in list(self.table.items()):
            if group in (None, life.group):
                told = encode_control(command="close", channel=ident, problem="terminated")
                self.close(ident, told, tell=False)
                self.front_hears.append(said(told))

    # Who serves an open

    def advance(self, life: Life) -> None:
        self.table[life.ident] = life
        if life.left:
            self.take(self.helper_for(life.left.pop(0)), life)
        elif life.payload == "echo":
            life.echo = True
            life.waits_for = None
            self.answering.pop(life.ident, None)
            self.tell_front(life, command="ready")
            for frame in life.frames[1:]:
                if life.echo:
                    self.echo(life, said(frame))
        else:
            self.refuse(life, "not-supported")

    def helper_for(self, rule: SlowRule) -> SlowHelper:
        for helper in self.helpers:
            if helper.rule is rule and helper.state != "ended":
                return helper
        self.helpers.append(SlowHelper(rule))
        return self.helpers[-1]

    def take(self, helper: SlowHelper, life: Life) -> None:
        if helper.state == "starting":
            helper.waiting[life.ident] = life
        elif life.ident in helper.unanswered:
            helper.held[life.ident] = life
        else:
            self.hand_over(helper, life)
            return
        life.waits_for = helper

    def hand_over(self, helper: SlowHelper, life: Life) -> None:
        life.helper, life.waits_for = helper, None
        self.answering.pop(life.ident, None)
        helper.routes[life.ident] = FORWARD
        helper.hears += map(said, life.frames)

    def refuse(self, life: Life, problem: str) -> None:
        self.table.pop(life.ident, None)
        self.tell_front(life, command="close", problem=problem)

    def tell_front(self, life: Life, **members: Any) -> None:
        self.front_hears.append(said(encode_control(**members, channel=life.ident)))

    # The internal echo

    def echo(self, life: Life, heard: Said) -> None:
        if heard.command == "data":
            if life.text and not _is_text(heard.told):
                self.end_echo(life, problem="protocol-error")
            else:
                self.front_hears.append(heard)
        elif heard.command == "ping":
            self.front_hears.append(said(encode_control(**{**heard.told, "command": "pong"})))
        elif heard.command == "done":
            self.tell_front(life, command="done")
            self.end_echo(life)

    def end_echo(self, life: Life, **members: Any) -> None:
        life.echo = False
        self.table.pop(life.ident, None)
        self.tell_front(life, command="close", **members)

    # The helpers; False: it spoke where it has no say

    def helper_data(self, helper: SlowHelper, ident: bytes, frame: bytes) -> bool:
        route = helper.routes.get(ident.decode())
        if route == FORWARD:
            self.front_hears.append(said(frame))
        return route is not None

    def helper_control(self, helper: SlowHelper, _: bytes, frame: bytes) -> bool:
        message = json.loads(frame.split(b"\n", 2)[2])
        command, ident = message["command"], message.get("channel")
        if helper.state == "starting":
            return self.greeted(helper, message)
        if command in ONLY_FRONT_END:
            return False
        if ident is None:
            if command == "ping":
                helper.hears.append(said(encode_control(**{**message, "command": "pong"})))
            return True
        route = helper.routes.get(ident)
        if route is None:
            return False
        if command == "close":
            self.helper_closes(helper, ident, frame, route)
        elif route == FORWARD:
            self.front_hears.append(said(frame))
        return True

    def greeted(self, helper: SlowHelper, message: dict[str, Any]) -> bool:
        if message["command"] != "init":
            return False
        if "problem" in message:
            self.end(helper, message["problem"], refused=True)
            return True
        helper.state = "ready"
        helper.hears.append(said(encode_control(command="init")))
        for life in helper.waiting.values():
            self.hand_over(helper, life)
        helper.waiting = {}
        return True

    def helper_closes(self, helper: SlowHelper, ident: str, frame: bytes, route: str) -> None:
        del helper.routes[ident]
        if route == FORWARD:
            del self.table[ident]
            self.front_hears.append(said(frame))
            return
        helper.unanswered.discard(ident)
        held = helper.held.pop(ident, None)
        if held is not None:
            self.hand_over(helper, held)
        if self.answering.get(ident) is helper:
            del self.answering[ident]
            if ident in self.table:
                return
            self.front_hears.append(said(frame))

    def end(self, helper: SlowHelper, problem: str, *, refused: bool = False) -> None:
        if helper.state == "ended":
            return
        failed, helper.state = helper.state == "starting", "ended"
        self.answering = {ident: each for ident, each in self.answering.items() if each is not helper}
        for life in list(self.table.values()):
            if life.helper is helper:
                self.refuse(life, problem)
        for life in [*helper.waiting.values(), *helper.held.values()]:
            if not failed:
                life.left = list(life.rules)
                self.advance(life)
            elif refused:
                self.refuse(life, problem)
            elif helper.rule.problem is not None:
                self.refuse(life, helper.rule.problem)
            else:
                self.advance(life)
        helper.waiting, helper.held = {}, {}


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


class Due:
    """What one side is to hear, and has not heard yet. Between two channels there is no order."""

    def __init__(self, expected: list[Said]) -> None:
        self._expected = expected
        self._seen = 0
        self._by_channel: dict[str, deque[Any]] = {}

    def heard(self, one: Said) -> None:
        """It must be the next one of its channel."""
        due = self.left.get(one.channel)
        assert due, f"nothing is due on channel {one.channel!r}, heard {one.told!r:.200}"
        assert one.told == due[0], f"on channel {one.channel!r}"
        due.popleft()
        if not due:
            del self._by_channel[one.channel]

    @property
    def left(self) -> dict[str, deque[Any]]:
        """What is due, by channel."""
        for one in self._expected[self._seen :]:
            self._by_channel.setdefault(one.channel, deque()).append(one.told)
        self._seen = len(self._expected)
        return self._by_channel
