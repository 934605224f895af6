"""One run: one peer, one kind of load, one JSON object of what was measured."""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.build import program
from bench.home import Home, make_home
from bench.peers import Peer
from bench.reaper import kill_children

RUN_SECONDS = 90.0  # for the load; it gives up by itself where nothing moves for 20 s
END_SECONDS = 10.0  # for a bridge whose front end has gone
STDERR_BYTES = 2000  # of each side, quoted in an error

Result = dict[str, float]


class RunError(Exception):
    """A run that did not come to an end, or came back with something wrong; the message quotes both sides."""


@dataclass(frozen=True)
class Run:
    """A mode of the load generator with its options (see load.c), and what is installed meanwhile.

    With `one_cpu` bridge, helpers and load share one CPU. A latency is then the work on the way and the switches
    between the three. Left to the scheduler it is one of two figures that are far apart, by where a process was woken.

    `load` is the load generator. A `server` runs beside it: the arguments of server.c after its socket, which SERVER
    stands for in the options, as "SERVER-PORT" does for its port. With `call`, that does all of it: mode and options
    are for the record.
    """

    mode: str
    options: dict[str, int | str] = field(default_factory=dict)
    home: Home = field(default_factory=Home)
    one_cpu: bool = False
    load: str = "load"
    server: tuple[str, ...] = ()
    call: Callable[[Peer], "Result"] | None = None


@dataclass
class Pair:
    """A bridge and the load on it, with a file for what each says on stderr."""

    peer: Peer
    run: Run
    bridge: "subprocess.Popen[bytes]"
    load: "subprocess.Popen[bytes]"
    report: int
    bridge_log: Path
    load_log: Path

    def failed(self, what: str) -> RunError:
        """An error that says what went wrong and quotes both sides."""
        options = " ".join(f"{name}={value}" for name, value in self.run.options.items())
        said = [
            f"  {name} said: {tail or '(nothing)'}"
            for name, tail in ((self.peer.name, _tail(self.bridge_log)), ("load", _tail(self.load_log)))
        ]
        return RunError("\n".join([f"{self.peer.name}, {self.run.mode} {options}: {what}", *said]))


def measure(peer: Peer, run: Run) -> Result:
    """Start the peer and the load, wait for both.

    Raises:
        RunError: an answer was wrong or missing, or one of them did not end.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        root = Path(directory)
        environ = make_home(root / "home", run.home)
        cpus = os.sched_getaffinity(0)
        try:
            if run.one_cpu:
                os.sched_setaffinity(0, {max(cpus)})
            with _serving(run, root / "server") as names:
                pair = _start(peer, run, environ | peer.environ, root, names)
                with open(pair.report, "rb") as report:
                    _wait(pair)
                    return _result(pair, report.read())
        finally:
            kill_children()
            os.sched_setaffinity(0, cpus)


@contextmanager
def _serving(run: Run, path: Path) -> Iterator[dict[str, str]]:
    """What the options say -> what it stands for."""
    if not run.server:
        yield {}
        return
    command = [program("served-server"), str(path), *run.server]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()  # it listens
        try:
            yield {'"SERVER-PORT"': port, "SERVER": str(path)}
        finally:
            server.kill()


def _start(peer: Peer, run: Run, environ: dict[str, str], root: Path, names: dict[str, str]) -> Pair:
    bridge_log, load_log = root / "bridge.log", root / "load.log"
    to_bridge, from_bridge, report = os.pipe(), os.pipe(), os.pipe()
    with open(bridge_log, "wb") as log:
        bridge = subprocess.Popen(peer.command, stdin=to_bridge[0], stdout=from_bridge[1], stderr=log, env=environ)
    options = [f"{name}={_filled(str(value), names)}" for name, value in run.options.items()]
    with open(load_log, "wb") as log:
        load = subprocess.Popen(
            [program(run.load), run.mode, f"pid={bridge.pid}", f"report={report[1]}", *options],
            stdin=from_bridge[0],
            stdout=to_bridge[1],
            stderr=log,
            pass_fds=[report[1]],
        )
    for fd in (*to_bridge, *from_bridge, report[1]):
        os.close(fd)
    return Pair(peer, run, bridge, load, report[0], bridge_log, load_log)


def _filled(text: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        text = text.replace(name, value)
    return text


def _wait(pair: Pair) -> None:
    try:
        status = pair.load.wait(RUN_SECONDS)
    except subprocess.TimeoutExpired:
        raise pair.failed(f"not done after {RUN_SECONDS:.0f} s") from None
    if status != 0:
        raise pair.failed(f"the load generator failed (status {status})")
    try:
        status = pair.bridge.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        raise pair.failed(f"did not end within {END_SECONDS:.0f} s after its front end") from None
    if status != 0:
        raise pair.failed(f"ended with status {status}")


def _result(pair: Pair, report: bytes) -> Result:
    try:
        result: Result = json.loads(report)
    except ValueError:
        raise pair.failed(f"the load generator's report is not JSON: {report!r}") from None
    return result


def _tail(log: Path) -> str:
    return log.read_bytes()[-STDERR_BYTES:].decode(errors="replace").strip()
