"""No thread can be started, as at the limit of a user's processes: that costs what needs one, and not the session."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.home import Home
from spanbridge.testing.script import Rule, exit_with, forever, fork, helper_rule, init, serve

PROGRAM = """
import os, sys, threading

def start(thread):
    raise RuntimeError("can't start new thread")

threading.Thread.start = start
os.geteuid = lambda: 1000  # somebody who has privileges to gain
sys.argv = ["spanbridge"]
from spanbridge.__main__ import main
sys.exit(main())
"""
QUICK = {"exit_seconds": 0.2, "term_seconds": 0.2}

Begin = Callable[..., Bridge]


@pytest.fixture
def begin(home: Home) -> Iterator[Begin]:
    with ExitStack() as stack:

        def begin(*rules: Rule, **options: Any) -> Bridge:
            if rules:
                home.package("test", *rules)
            bridge = stack.enter_context(Bridge(home, command=[sys.executable, "-c", PROGRAM], **options))
            bridge.front_end.expect("init", version=1)
            bridge.front_end.init()
            return bridge

        yield begin


def test_a_helper_ends_and_leaves_somebody_behind(begin: Begin) -> None:
    leaves = [init(), serve({"data": [fork([forever()]), exit_with(4)]})]
    bridge = begin(helper_rule({"payload": "test"}, leaves), limits=QUICK)
    front = bridge.front_end
    front.open("a")
    front.expect("ready", "a")
    front.send("a", b"go")
    front.expect("close", "a", problem="terminated")
    bridge.log.wait("helper-ended")
    front.open("a")
    front.expect("ready", "a")


def test_privileges_are_asked_for(begin: Begin) -> None:
    bridge = begin({"privileged": True, "label": "x", "spawn": ["/bin/false"]})
    bridge.front_end.init(superuser={"id": "any"})
    bridge.front_end.expect("superuser-init-done")
    assert bridge.log.matches("superuser-failed .*no thread can be started")
    bridge.front_end.sync()


def test_manifests_are_to_be_read_on_change(begin: Begin) -> None:
    bridge = begin(environ={"SPANBRIDGE_RELOAD_ON_CHANGE": "1"})
    bridge.log.wait("reload-on-change .*can't start new thread")
    bridge.front_end.sync()
