"""What may become of an errand whose partner was killed, and what may not."""

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from spanbridge.testing import processes

from . import starved
from .errands import Errand, Outcome
from .partners import BUS, EXTENSIONS, SSH, misfortune
from .starved import Starved

OWN = b"the bytes that were sent"
ERRAND = Errand({}, (), lambda outcome: "", own=lambda outcome: OWN.startswith(outcome.bytes))


def outcome(*data: bytes, response: int | None = None, **close: Any) -> Outcome:
    made = Outcome()
    made.data = list(data)
    made.told = {"close": {"command": "close", "channel": "e1", **close}}
    if response is not None:
        made.told["response"] = {"status": response}
    return made


@pytest.mark.parametrize(
    ("partner", "found"),
    [
        (SSH, outcome(OWN[:5], problem="terminated", message="far: ended")),
        (SSH, outcome(problem="internal-error", message="far: ssh was ended by signal 9")),
        (BUS, outcome(problem="disconnected", message="the session bus: closed")),
        (EXTENSIONS, outcome(problem="terminated", message="the host has ended")),
    ],
)
def test_what_may(partner: str, found: Outcome) -> None:
    assert misfortune(partner, ERRAND, found) == ""


@pytest.mark.parametrize(
    ("partner", "found"),
    [
        (SSH, outcome(b"another's", problem="terminated", message="far: ended")),
        (SSH, outcome(problem="terminated")),
        (SSH, outcome(problem="timeout", message="far: no answer")),
        (SSH, outcome(OWN[:5])),
        (BUS, outcome(b'{"owner": null}', b'{"reply": [["?"]], "id": "1"}')),
        (BUS, outcome(problem="internal-error", message="a mistake within the bridge")),
        (EXTENSIONS, outcome(response=200)),
        (EXTENSIONS, outcome(problem="disconnected", message="?")),
    ],
)
def test_what_may_not(partner: str, found: Outcome) -> None:
    assert misfortune(partner, ERRAND, found)


def test_one_that_is_stopped_is_not_starved() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        os.kill(child.pid, signal.SIGSTOP)
        found = Starved(os.getpid())
        found.look(100.0)
        found.look(104.0)
        assert not found.was(child.pid, 3.0, 104.0)
        assert not found.was(1, 3.0, 104.0)
    finally:
        child.kill()
        child.communicate()


def test_one_that_got_no_processor_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the kernel counts it: for two of the last three seconds it was ready to run."""
    monkeypatch.setattr(processes, "children", lambda pid: [7, 8])
    waited = {7: 0, 8: 0}
    monkeypatch.setattr(starved, "_waited", waited.get)
    found = Starved(1)
    found.look(100.0)
    waited[7] = 2 * 10**9
    found.look(103.0)
    assert found.was(7, 3.0, 103.0)
    assert found.any(3.0, 103.0)
    assert not found.was(8, 3.0, 103.0)
    assert not found.was(7, 6.0, 103.0)
