"""One conversation with spanbridge, told as it happens; `make demo` runs it.

It starts the bridge on examples/packages, and fails (exit status 1) where anything is not as it says. Packages that are
installed on the machine, or are the user's own, have no say in it.
"""

import json
import os
import select
import shlex
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from front_end import VERSION, Bridge, Frame, Unexpected

HERE: Final = Path(__file__).resolve().parent
MANIFEST: Final = HERE / "packages" / "cockpit" / "example" / "manifest.json"
SPANBRIDGE: Final = Path(sys.executable).with_name("spanbridge")

WIDTH: Final = 110  # characters a line, at most
BLUE: Final = ["example_helper.py", "--tag", "blue", "--literal", "${tag}"]
GREEN: Final = ["example_helper.py", "--tag", "green", "--literal", "${tag}"]


class Conversation:
    """A bridge that is spoken with, and the account of it on stdout."""

    def __init__(self, bridge: Bridge) -> None:
        self.bridge = bridge
        self.helpers: dict[int, int] = {}  # pid -> pidfd

    # What is sent

    def control(self, command: str, **members: object) -> None:
        """Send a control message."""
        self.bridge.control(command, **members)
        channel = str(members.pop("channel", ""))
        arrow("-->", command, channel, members)

    def data(self, channel: str, payload: bytes) -> None:
        """Send a data frame."""
        self.bridge.send(channel, payload)
        arrow("-->", "data", channel, payload.decode())

    # What comes back

    def expect(self, command: str, channel: str = "", *, show: tuple[str, ...] = ()) -> dict[str, Any]:
        """Receive a control message, and no other; `show`: the members to tell of, if not all."""
        frame = self._receive(f"{command} {channel}".strip())
        message = frame.message if not frame.channel else {}
        if (message.pop("command", "data"), message.pop("channel", "")) != (command, channel):
            raise Unexpected(f"expected {command} {channel}, found {frame}")
        arrow("<--", command, channel, {name: message[name] for name in show or message})
        return message

    def expect_data(self, channel: str, payload: bytes) -> None:
        """Receive a data frame with just this payload."""
        frame = self._receive(f"data on {channel}")
        check(frame == Frame(channel, payload), frame, f"{payload!r} on {channel}")
        arrow("<--", "data", channel, payload.decode())

    def expect_helper(self, channel: str) -> dict[str, Any]:
        """Receive what the example helper says of itself on a new channel."""
        frame = self._receive(f"data on {channel}")
        check(frame.channel == channel, frame, f"data on {channel}")
        said: dict[str, Any] = json.loads(frame.payload)
        said["argv"][0] = os.path.basename(said["argv"][0])
        if said["pid"] not in self.helpers:
            self.helpers[said["pid"]] = os.pidfd_open(said["pid"])
        arrow("<--", "data", channel, f"pid      {said['pid']}")
        more(f"argv     {shlex.join(said['argv'])}")
        more(f"environ  {shlex.join(f'{name}={value}' for name, value in said['environ'].items())}")
        return said

    def expect_end(self) -> list[Frame]:
        """Receive all up to the end of the bridge's stdout."""
        frames = []
        while (frame := self.bridge.receive()) is not None:
            frames.append(frame)
        return frames

    def _receive(self, what: str) -> Frame:
        frame = self.bridge.receive()
        if frame is None:
            raise Unexpected(f"expected {what}, found the end of the bridge's stdout")
        return frame


# The account


def title(text: str) -> None:
    print(f"\n{text}")


def arrow(direction: str, command: str, channel: str, rest: str | dict[str, Any] = "") -> None:
    """One frame: its payload, or the members of the message."""
    lines = [rest] if isinstance(rest, str) else told(rest)
    print(f"  {direction}  {command:<5}  {channel:<2}  {lines[0]}".rstrip())
    for line in lines[1:]:
        more(line)


def more(text: str) -> None:
    print(textwrap.fill(text, WIDTH, initial_indent=" " * 18, subsequent_indent=" " * 20, break_long_words=False))


def shows(text: str) -> None:
    print(f"       = {text}")


def told(members: dict[str, Any]) -> list[str]:
    """The members in one line, or in one each where that is too long."""
    parts = [f"{name} {json.dumps(value)}" for name, value in members.items()]
    line = ", ".join(parts)
    return [line] if len(line) < WIDTH - 18 else parts


def check(fits: bool, found: object, expected: object) -> None:
    if not fits:
        raise Unexpected(f"expected {expected}, found {found}")


def equal(found: object, expected: object) -> None:
    check(found == expected, found, expected)


# The conversation, part by part


def rules(talk: Conversation) -> None:
    title(f"The rules, in {MANIFEST.relative_to(HERE.parent)}")
    for rule in json.loads(MANIFEST.read_text())["bridges"]:
        command = " ".join([*rule.get("environ", []), *rule["spawn"]])
        problem = f", or else problem {rule['problem']}" if "problem" in rule else ""
        print(f"       {', '.join(told(rule['match'])):<25}  {command}{problem}")


def first_words(talk: Conversation) -> None:
    title("Both sides say init")
    init = talk.expect("init", show=("version", "packages"))
    equal(init["version"], VERSION)
    equal(list(init["packages"]), sorted(each.parent.name for each in MANIFEST.parent.parent.glob("*/manifest.json")))
    talk.control("init", version=VERSION, host="localhost")


def one_tag(talk: Conversation) -> None:
    title("Two opens with one tag")
    pids = set()
    for channel in ("a1", "a2"):
        talk.control("open", channel=channel, payload="example", tag="blue")
        talk.expect("ready", channel)
        said = talk.expect_helper(channel)
        equal(said["argv"], BLUE)
        equal(said["environ"], {"EXAMPLE_TAG": "blue"})
        pids.add(said["pid"])
    equal(len(pids), 1)
    shows(f"one process serves both: pid {pids.pop()}")
    shows("${tag} has become the tag of the open, \\${tag} the text ${tag}")


def another_tag(talk: Conversation) -> None:
    title("A third with another tag")
    (first,) = talk.helpers
    talk.control("open", channel="a3", payload="example", tag="green")
    talk.expect("ready", "a3")
    said = talk.expect_helper("a3")
    equal(said["argv"], GREEN)
    equal(said["environ"], {"EXAMPLE_TAG": "green"})
    check(said["pid"] != first, said["pid"], "a pid of its own")
    shows(f"another expansion, another process: pid {said['pid']}")


def data(talk: Conversation) -> None:
    title("Data, there and back")
    for channel, tag in (("a1", b"blue"), ("a2", b"blue"), ("a3", b"green")):
        talk.data(channel, b"hello")
        talk.expect_data(channel, tag + b": hello")
    shows("each channel has its own helper at the other end")


def rule_with_problem(talk: Conversation) -> None:
    title("A helper that cannot be started, and a rule with a problem")
    talk.control("open", channel="b1", payload="example-locked")
    close = talk.expect("close", "b1")
    equal(close["problem"], "access-denied")
    check("no-such-program" in close["message"], close["message"], "a message that names the program")
    shows("the open is closed with the rule's problem, and why is in the message")


def fall_through(talk: Conversation) -> None:
    title("A helper that fails, and a rule without a problem")
    talk.control("open", channel="c1", payload="echo")
    talk.expect("ready", "c1")
    talk.data("c1", b"anybody there?")
    talk.expect_data("c1", b"anybody there?")
    talk.control("done", channel="c1")
    talk.expect("done", "c1")
    equal(talk.expect("close", "c1"), {})
    shows("the open went on to the bridge's own echo")


def clean_end(talk: Conversation) -> None:
    title("The front end closes the bridge's stdin")
    arrow("-->", "(end)", "")
    talk.bridge.hang_up()
    closed = sorted(str(frame.message.get("channel")) for frame in talk.expect_end())
    for channel in closed:
        arrow("<--", "close", channel)
    equal(closed, ["a1", "a2", "a3"])
    arrow("<--", "(end)", "")
    status = talk.bridge.wait()
    equal(status, 0)
    for pid, pidfd in talk.helpers.items():
        check(ended(pidfd), f"helper {pid} running", "no helper left behind")
        os.close(pidfd)
    shows(f"helpers {' and '.join(map(str, talk.helpers))} were told, and have ended; exit status {status}")


def ended(pidfd: int) -> bool:
    return bool(select.select([pidfd], [], [], 0)[0])


PARTS: Final[tuple[Callable[[Conversation], None], ...]] = (
    rules,
    first_words,
    one_tag,
    another_tag,
    data,
    rule_with_problem,
    fall_through,
    clean_end,
)


def show_log(log: Path) -> None:
    """The bridge's own account, with each helper's end in it."""
    title("What the bridge wrote on stderr meanwhile")
    lines = log.read_text().splitlines()
    for line in lines:
        print(f"       {line.partition('] ')[2]}")
    ends = [line for line in lines if "helper-ended" in line and 'how="exited with status 0"' in line]
    check(len(ends) == 2, ends, "two helpers that exited with status 0")


def environ(scratch: Path) -> dict[str, str]:
    """All that the bridge gets: our packages, our helper's directory on the PATH, and nothing of the user's."""
    path = [str(HERE / "helpers"), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    return {
        "PATH": ":".join(path),
        "LANG": "C.UTF-8",
        "HOME": str(scratch),
        "XDG_DATA_HOME": str(HERE / "packages"),
        "XDG_DATA_DIRS": str(scratch),
        "XDG_CONFIG_HOME": str(scratch),
        "XDG_CONFIG_DIRS": str(scratch),
    }


def main() -> int:
    print("A conversation with spanbridge.    -->  front end to bridge    <--  bridge to front end    =  what it shows")
    with tempfile.TemporaryDirectory(prefix="spanbridge-demo-") as directory:
        scratch = Path(directory)
        log = scratch / "log"
        try:
            with Bridge([str(SPANBRIDGE)], environ(scratch), log) as bridge:
                talk = Conversation(bridge)
                for part in PARTS:
                    part(talk)
            show_log(log)
        except (Unexpected, OSError, ValueError, KeyError) as error:
            sys.stdout.flush()
            print(f"\nThe demo has failed: {type(error).__name__}: {error}", file=sys.stderr)
            if log.exists():
                print(f"The bridge's log:\n{log.read_text()}", file=sys.stderr)
            return 1
    print("\nAll as it should be.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
