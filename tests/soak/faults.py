"""Doing harm: to helper processes, and to manifests."""

import json
import os
import select
import signal
import sys
from pathlib import Path
from typing import Final

from spanbridge.testing import processes
from spanbridge.testing.home import Home
from spanbridge.testing.script import Rule as Entry

from .model import Rule
from .schedule import PER_PACKAGE

_PEER: Final = Path(__file__).with_name("peer.py")
_BROKEN: Final = (
    '{"bridges": [',
    "",
    "[]",
    '{"bridges": 5}',
    "{" * 70_000,
    '{"name": ""}',
    "\x00",
    '{"priority": true}',
)
_FAILURES: Final = ("exit", "garbage", "half", "silence", "refusal")


class Herd:
    """Helpers by number, through pidfds: a number may be somebody else's by the time that it is used."""

    def __init__(self, bridge: int) -> None:
        self._bridge = bridge
        self._fds: dict[int, int] = {}

    def adopt(self, pid: int) -> None:
        """Called when it has spoken; it may be gone by now."""
        if pid in self._fds:
            return
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        if pid in processes.children(self._bridge):
            self._fds[pid] = fd
        else:
            os.close(fd)

    def signal(self, pid: int, number: signal.Signals) -> bool:
        """Whether it was there to get it."""
        fd = self._fds.get(pid)
        if fd is None:
            return False
        try:
            signal.pidfd_send_signal(fd, number)
        except ProcessLookupError:
            self.forget(pid)
            return False
        return True

    def wait_ended(self, seconds: float) -> list[int]:
        """Those that have not ended by then."""
        left = [pid for pid, fd in self._fds.items() if not select.select([fd], [], [], seconds)[0]]
        for pid in list(self._fds):
            self.forget(pid)
        return left

    def forget(self, pid: int) -> None:
        os.close(self._fds.pop(pid))

    def close(self) -> None:
        for pid in list(self._fds):
            self.forget(pid)


class Manifests:
    """The packages on disk: PER_PACKAGE rules in each."""

    def __init__(self, home: Home, rules: list[Rule]) -> None:
        self._home = home
        self._rules = rules
        self._edits = 0

    def write_all(self) -> None:
        for package in range(len(self._rules) // PER_PACKAGE):
            self._write(package)

    def remove_all(self) -> None:
        for package in range(len(self._rules) // PER_PACKAGE):
            if self._of(package)[0].absent != "remove":
                self._home.remove_package(_name(package))

    def edit(self, kind: str, helper: int, now: float) -> None:
        """As schedule.Edit says; brings back what an earlier one took away."""
        package = helper // PER_PACKAGE
        rules = self._of(package)
        self._edits += 1
        if any(rule.absent for rule in rules):
            for rule in rules:
                rule.absent = ""
                rule.disturbed_at = now
            self._write(package)
        elif kind in ("remove", "break"):
            for rule in rules:
                rule.absent = kind
                rule.generation += 1
                rule.disturbed_at = now
            if kind == "remove":
                self._home.remove_package(_name(package))
            else:
                self._home.write_manifest(_name(package), _BROKEN[self._edits % len(_BROKEN)])
        else:
            if kind in ("renew", "fail"):
                rule = self._rules[helper]
                rule.generation += 1
                rule.disturbed_at = now
                rule.absent = "fail" if kind == "fail" else ""
            self._write(package)

    def _of(self, package: int) -> list[Rule]:
        return self._rules[package * PER_PACKAGE : (package + 1) * PER_PACKAGE]

    def _write(self, package: int) -> None:
        rules = self._of(package)
        turn = self._edits % len(rules)  # they change places, and the package its priority: no matter to a helper
        entries = [_entry(rule) for rule in (*rules[turn:], *rules[:turn])]
        text = json.dumps({"bridges": entries, "priority": self._edits % 7}, indent=self._edits % 3)
        self._home.write_manifest(_name(package), text)


def _name(package: int) -> str:
    return f"soak-{package}"


def _entry(rule: Rule) -> Entry:
    command = [sys.executable, "-I", "-S", str(_PEER), rule.name, str(rule.generation)]
    failing = [_FAILURES[rule.generation % len(_FAILURES)]] if rule.absent == "fail" else []
    return {"match": {"payload": rule.name}, "spawn": [*command, *failing]}
