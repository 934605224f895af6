"""What a fake helper is to do: steps, put in a list, run one after another.

    helper_rule({"payload": "test"}, [init(), serve()])                           a good helper, which sends back all
    helper_rule({"payload": "test"}, [init(), serve({"data": [exit_with(3)]})])   one that exits at the first data
    helper_rule({"payload": "test"}, [stderr("no such thing"), exit_with(1)])     one that fails to start

`serve` answers until its stdin ends: an open with `ready`, data with the same data, a close with a close, a ping on a
channel with a pong. Its `ready` tells the helper's `pid`, `argv` (after the script), `environ`, `cwd`, and the `open`
message as it came. In texts "$channel" stands for the channel of the frame that was read last.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from .gate import Gate

Step: TypeAlias = list[Any]
Steps: TypeAlias = Sequence[Step]
Rule: TypeAlias = dict[str, Any]

PROGRAM: Final = Path(__file__).with_name("fake_helper.py")


def command(steps: Steps, *arguments: str) -> list[str]:
    """The argv of a helper that runs `steps`; further arguments are only reported."""
    return [sys.executable, "-I", "-S", str(PROGRAM), json.dumps(steps), *arguments]


def helper_rule(match: Mapping[str, Any], steps: Steps, *arguments: str, **members: Any) -> Rule:
    """A rule of a manifest, whose helper runs `steps`."""
    return {"match": dict(match), "spawn": command(steps, *arguments), **members}


# Speaking


def init(**members: Any) -> Step:
    """Send an init with version 1 and these members, which may change the version."""
    return ["init", _dashed(members)]


def ready(**members: Any) -> Step:
    """Answer the open that was read last."""
    return ["ready", _dashed(members)]


def send(command: str, /, **members: Any) -> Step:
    """Send a control message."""
    return ["send", {"command": command, **_dashed(members)}]


def data(channel: str, payload: bytes) -> Step:
    """Send a data frame."""
    return ["data", channel, payload.decode("latin-1")]


def reply(payload: bytes) -> Step:
    """Send a data frame on the channel of the frame that was read last."""
    return ["data", "$channel", payload.decode("latin-1")]


def echo() -> Step:
    """Send back the data frame that was read last."""
    return ["echo"]


def raw(what: bytes) -> Step:
    """Write bytes that need not be a frame."""
    return ["raw", what.decode("latin-1")]


def flood(channel: str, size: int, count: int) -> Step:
    """Send `count` data frames of `size` bytes; each begins with its number."""
    return ["flood", channel, size, count]


def stderr(text: str, count: int = 1) -> Step:
    """Write a line to stderr; more than one: `text 1` to `text COUNT`."""
    return ["stderr", text, count]


def stderr_raw(what: bytes) -> Step:
    """Write bytes to stderr that need not be a line."""
    return ["stderr_raw", what.decode("latin-1")]


def repeat(count: int, steps: Steps) -> Step:
    return ["repeat", count, list(steps)]


# Listening


def read(event: str = "") -> Step:
    """Read frames, and do nothing about them, up to the first control message of this command ("data": data frame;
    nothing: one frame). Where stdin ends first the helper exits with status 0."""
    return ["read", event]


def serve(handlers: Mapping[str, Steps] | None = None) -> Step:
    """Answer frames until stdin ends. `handlers`: what to do instead, by command ("data": data frame)."""
    return ["serve", {event: list(steps) for event, steps in (handlers or {}).items()}]


def answer() -> Step:
    """In a handler: what `serve` would have done without one."""
    return ["answer"]


def stop() -> Step:
    """In a handler: end `serve`; the step after it is next."""
    return ["stop"]


# Waiting


def wait(gate: Gate) -> Step:
    """Wait until the gate is released."""
    return ["wait", str(gate.path)]


def delay(seconds: float) -> Step:
    """Do nothing for so long. A gate (`wait`) is exact, and as fast as the test; this is where time itself is meant."""
    return ["delay", seconds]


def forever() -> Step:
    """Do nothing more; signals are acted on."""
    return ["forever"]


# Telling the test


def note(text: str) -> Step:
    """Write a line of JSON to the journal: `note`, `pid`, `argv`, `channel`."""
    return ["note", text]


def note_message() -> Step:
    """Write the control message that was read last to the journal, as JSON in its `note`."""
    return ["note_message"]


def note_size() -> Step:
    """Write the number of bytes of the data frame that was read last to the journal."""
    return ["note_size"]


# Ending


def exit_with(status: int) -> Step:
    return ["exit", status]


def die(signal: int) -> Step:
    """Be killed by this signal."""
    return ["die", signal]


def close_fd(fd: int) -> Step:
    """Close a descriptor and live on: 0 stdin, 1 stdout, 2 stderr."""
    return ["close", fd]


def ignore(*signals: int) -> Step:
    return ["ignore", *signals]


def on_signal(signal: int, steps: Steps) -> Step:
    """Run `steps` whenever this signal comes, and go on."""
    return ["on_signal", signal, list(steps)]


def fork(steps: Steps) -> Step:
    """Start a child that runs `steps` and exits."""
    return ["fork", list(steps)]


def set_session() -> Step:
    """Leave the process group."""
    return ["set_session"]


def _dashed(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name.replace("_", "-"): value for name, value in members.items()}
