"""What errands are sent to: servers, a bus, an extension, files, and another host where there may be one."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dbus_fast import Message

from spanbridge.testing.bridge import SPANBRIDGE
from spanbridge.testing.home import Home

from ..dbus.service import PrivateBus, Service, private_bus
from ..hosts.farm import Farm, Persona, farm

NAME: Final = "com.example.Soak"
EXTENSION: Final = "soak"
USER: Final = "over-there"
HOST: Final = f"{USER}@far"
PACKAGE: Final = "soak-files"
FILE: Final = bytes(range(256)) * 600

_SOURCE: Final = """\
name = "soak"
version = "1"


def init(router, services):
    db = services.db
    db.exec("CREATE TABLE IF NOT EXISTS ext_soak_keys (key TEXT PRIMARY KEY, size INTEGER)")

    @router.post("/keys")
    def add(req):
        db.prepare("INSERT INTO ext_soak_keys VALUES (?, ?)").run(req.body["key"], len(req.body["text"]))
        db.prepare("DELETE FROM ext_soak_keys WHERE rowid < (SELECT max(rowid) FROM ext_soak_keys) - 1000").run()
        found = db.prepare("SELECT * FROM ext_soak_keys WHERE key = ?").all(req.body["key"])
        return {"found": found, "text": req.body["text"]}

    @router.get("/keys")
    def keys(req):
        return db.prepare("SELECT key FROM ext_soak_keys").pluck().all()
"""
_FARM_NEEDS: Final = ("/usr/sbin/sshd", "ssh", "ssh-keygen", "nsenter", "unshare", "cc")


class Site:
    """`sockets`, `files`: directories. `host`: another host's name, or empty. `command`: what starts a bridge."""

    def __init__(self, home: Home, bus: PrivateBus, other: Farm | None) -> None:
        self.home = home
        self.host = HOST if other else ""
        self._bus = bus
        self._service: Service | None = None
        self.sockets = home.root / "sockets"
        self.files = home.root / "files"
        self.temporary = home.root / "tmp"
        self.command = [*(other.command if other else ()), str(SPANBRIDGE)]
        self.environ = {
            **home.environ,
            **bus.environ,
            "TMPDIR": str(self.temporary),
            "XDG_STATE_HOME": str(home.root / "state"),
        }
        for directory in (self.sockets, self.files, self.temporary):
            directory.mkdir()
        extension = home.data_home / "spanbridge" / "extensions" / EXTENSION
        (extension / "src").mkdir(parents=True)
        (extension / "src/main.py").write_text(_SOURCE)
        (extension / "package.json").write_text(json.dumps({"name": EXTENSION, "version": "1"}))
        package = home.package(PACKAGE, version=1)
        (package / "file.bin").write_bytes(FILE)
        if other:
            other.give(home.root)

    def serve_on_the_bus(self) -> None:
        """Be there on the bus, which is started if it was killed."""
        if self._service is None:
            if not self._bus.runs:
                self._bus.start()
            self._service = Service(self._bus.address, NAME, _echo)

    def kill_the_bus(self) -> None:
        """With all who are on it."""
        self._bus.stop(signal.SIGKILL)
        if self._service is not None:
            self._service.stop()
            self._service = None

    def litter(self) -> set[str]:
        """What lies about that is neither an errand's own file nor anything that is kept."""
        places = (self.files, self.temporary, self.home.runtime)
        found = {str(path.relative_to(self.home.root)) for place in places for path in place.rglob("*")}
        return {path for path in found if not path.startswith("files/place-")}


@contextlib.contextmanager
def site(root: Path) -> Iterator[Site]:
    """A site that is there; where a farm of hosts may be, a bridge is to run in it, as its user."""
    with contextlib.ExitStack() as stack:
        other = stack.enter_context(farm(_users)) if _may_have_hosts() else None
        if other is not None:
            other.forget()
            other.trust()
            other.use_key()
        home = Home(other.new_front() if other else root)
        (home.root / "bus").mkdir(mode=0o777)
        (home.root / "bus").chmod(0o777)
        # It must know the user that connects.
        bus = stack.enter_context(private_bus(home.root / "bus", prefix=other.command if other else ()))
        made = Site(home, bus, other)
        command = [sys.executable, "-I", str(Path(__file__).with_name("server.py")), str(made.sockets)]
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert server.stdin is not None
        assert server.stdout is not None
        stack.callback(server.wait)
        stack.callback(server.stdin.close)
        assert server.stdout.readline() == b"ready\n"
        made.serve_on_the_bus()
        stack.callback(made.kill_the_bus)
        yield made


def _users(_: Path) -> dict[str, Persona]:
    return {USER: Persona(bridge=(("spanbridge", str(SPANBRIDGE)),))}


def _may_have_hosts() -> bool:
    return os.geteuid() == 0 and all(shutil.which(program) for program in _FARM_NEEDS)


def _echo(_: Service, message: Message) -> Message:
    return Message.new_method_return(message, "s", list(message.body))
