"""A request to an extension, beside the same route in Express with better-sqlite3 behind the C bridge.

    npm install --prefix DIR express@4 better-sqlite3@12
    (cd DIR; npm rebuild better-sqlite3 --ignore-scripts=false)
    make setup PYTHON=/usr/bin/python3      (in a clone that has no .venv yet)
    chrt -f 1 .venv/bin/python -m bench.extensions DIR

Both have a table with one row in a database on disk, a GET that reads it and a POST that adds one. Requests go one
after another, in turns, so that what else the machine does falls on both alike. Told are the median and 99 %, and the
time on a processor of all that serves a request (bridge, host, extension; C bridge, Express), in microseconds. The last
is of use on a machine that others use, too; so is `chrt`, as root: what others run then waits for all of these. The
first line tells whose Python it is: one that was not optimised by a profile when it was compiled, as Debian's is, takes
nearly a third longer.
"""

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.home import Home

_C_BRIDGE: Final = "/usr/bin/cockpit-bridge"
_ROUNDS: Final = 20
_IN_A_ROUND: Final = 100
_PYTHON: Final = """
name, version = "bench", "1"

def init(router, services):
    db = services.db
    db.exec("CREATE TABLE IF NOT EXISTS ext_bench_t (id INTEGER PRIMARY KEY, name TEXT)")
    one = db.prepare("SELECT * FROM ext_bench_t WHERE id = ?")
    add = db.prepare("INSERT INTO ext_bench_t (name) VALUES (?)")

    @router.get("/t/:id")
    def get(req):
        return {"row": one.get(int(req.params["id"]))}

    @router.post("/t")
    def post(req):
        return 201, {"id": add.run(req.body["name"]).last_insert_rowid}
"""
_JAVASCRIPT: Final = """
module.exports = { name: 'bench-js', version: '1', init (router, { db }) {
  db.exec('CREATE TABLE IF NOT EXISTS ext_bench_js_t (id INTEGER PRIMARY KEY, name TEXT)')
  const one = db.prepare('SELECT * FROM ext_bench_js_t WHERE id = ?')
  const add = db.prepare('INSERT INTO ext_bench_js_t (name) VALUES (?)')
  router.get('/t/:id', (req, res) => res.json({ row: one.get(Number(req.params.id)) }))
  router.post('/t', (req, res) => res.status(201).json({ id: add.run(req.body.name).lastInsertRowid }))
} }
"""
_EXPRESS: Final = """
const express = require('express'), Database = require('better-sqlite3')
const db = new Database(process.argv[2])
db.pragma('journal_mode = WAL')
db.pragma('synchronous = NORMAL')
db.exec('CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, name TEXT)')
const one = db.prepare('SELECT * FROM t WHERE id = ?'), add = db.prepare('INSERT INTO t (name) VALUES (?)')
const app = express()
app.use(express.json())
app.get('/api/ext/bench/t/:id', (req, res) => res.json({ row: one.get(Number(req.params.id)) }))
app.post('/api/ext/bench/t', (req, res) => res.status(201).json({ id: add.run(req.body.name).lastInsertRowid }))
app.listen(process.argv[3], () => console.log('ready'))
"""
Ask = Callable[[str, str, bytes], None]


def asker(bridge: Bridge, name: str, **where: Any) -> Ask:
    """A request over a bridge, to wherever the members of the open say."""
    front = bridge.front_end
    numbers = iter(range(1 << 30))

    def ask(method: str, path: str, body: bytes) -> None:
        channel = f"c{next(numbers)}"
        headers = {"Content-Type": "application/json"} if body else {}
        front.open(
            channel,
            "http-stream2",
            method=method,
            path=f"/api/ext/{name}{path}",
            headers=headers,
            binary="raw",
            **where,
        )
        if body:
            front.send(channel, body)
        front.control("done", channel=channel)
        status = 0
        while True:
            frame = front.take(lambda frame: (frame.channel or frame.message.get("channel")) == channel, "an answer")
            if frame.channel:
                continue
            if frame.message["command"] == "response":
                status = frame.message["status"]
            elif frame.message["command"] == "close":
                assert status in (200, 201), frame
                front.log.clear()
                return

    return ask


def started(stack: ExitStack, home: Home, **given: Any) -> Bridge:
    bridge = stack.enter_context(Bridge(home, **given))
    bridge.front_end.expect("init")
    bridge.front_end.init()
    return bridge


def write(home: Home, name: str, main: str, source: str) -> None:
    directory = home.data_home / "spanbridge" / "extensions" / name
    (directory / "src").mkdir(parents=True)
    (directory / main).write_text(source)
    (directory / "package.json").write_text(json.dumps({"name": name, "version": "1", "main": main}))


def processor_time(pids: Iterable[int]) -> float:
    """Seconds that these processes have run so far, all their threads together."""
    total = 0
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            total += int((thread / "schedstat").read_text().split()[0])
    return total / 1e9


def pids_of(log: str) -> dict[str, int]:
    """The host, and each extension, by host.log; the last of each."""
    found = {"": int(re.findall(r"host-started pid=(\d+)", log)[-1])}
    for name, pid in re.findall(r"extension-started extension=(\S+) .*pid=(\d+)", log):
        found[name] = int(pid)
    return found


def main(modules: str) -> int:
    """Print the table; the exit status."""
    print(f"Python {platform.python_version()} of {sys.base_prefix}")
    root = Path(tempfile.mkdtemp(prefix="bench-extensions-"))
    home = Home(root / "home")
    write(home, "bench", "src/main.py", _PYTHON)
    write(home, "bench-js", "src/index.js", _JAVASCRIPT)
    environ = {"XDG_STATE_HOME": str(root / "state"), "PATH": os.environ["PATH"]}
    with ExitStack() as stack:
        server = root / "server.js"
        server.write_text(_EXPRESS)
        address = str(root / "express.sock")
        express = subprocess.Popen(
            ["node", str(server), str(root / "express.db"), address],
            env={**os.environ, "NODE_PATH": f"{modules}/node_modules"},
            stdout=subprocess.PIPE,
        )
        stack.callback(express.wait)
        stack.callback(express.kill)
        assert express.stdout is not None
        assert express.stdout.readline() == b"ready\n"
        ours = started(stack, home, environ=environ, limits={"extension_linger_seconds": 0.1})
        theirs = started(
            stack, Home(root / "other"), command=[_C_BRIDGE], environ={"DBUS_SESSION_BUS_ADDRESS": "none:"}
        )
        asked: dict[str, Ask] = {
            "Python": asker(ours, "bench", internal="extensions"),
            "JavaScript": asker(ours, "bench-js", internal="extensions"),
            "Express": asker(theirs, "bench", unix=address),
        }
        for ask in asked.values():
            ask("POST", "/t", b'{"name":"x"}')
        pids = pids_of((root / "state/spanbridge/extensions/host.log").read_text())
        serving = {
            "Python": [ours.pid, pids[""], pids["bench"]],
            "JavaScript": [ours.pid, pids[""], pids["bench-js"]],
            "Express": [theirs.pid, express.pid],
        }
        for method, path, body in (("POST", "/t", b'{"name":"x"}'), ("GET", "/t/1", b"")):
            times: dict[str, list[float]] = {name: [] for name in asked}
            ran = dict.fromkeys(asked, 0.0)
            for _ in range(_ROUNDS):
                for name, ask in asked.items():
                    before = processor_time(serving[name])
                    for _ in range(_IN_A_ROUND):
                        begun = time.perf_counter()
                        ask(method, path, body)
                        times[name].append(time.perf_counter() - begun)
                    ran[name] += processor_time(serving[name]) - before
            for name, found in times.items():
                found.sort()
                median, most = found[len(found) // 2], found[len(found) * 99 // 100]
                busy = ran[name] / len(found)
                told = f"median {median * 1e6:6.0f}  99 % {most * 1e6:6.0f}  on a processor {busy * 1e6:6.0f}"
                print(f"{method:<5} {name:<11} {told}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
