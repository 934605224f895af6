"""What an extension cannot do, tried from within; and what it is granted by permissions."""

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from spanbridge.extensions.sandbox.calls import AARCH64, NEVER, NUMBERS, STARTS, X86_64
from spanbridge.extensions.sandbox.filter import ALLOW, KILL, Filter, program, program_of, refused
from spanbridge.extensions.sandbox.landlock import landlock_abi

from ..missing import lack
from .site import Page, Site
from .virtual_filter import Seen, verdict

needs_landlock = pytest.mark.skipif(landlock_abi() == 0, reason="the kernel has no Landlock")

ATTEMPTS = """
import ctypes, fcntl, os, signal, socket, subprocess, threading

libc = ctypes.CDLL(None, use_errno=True)

def call(function, *arguments):
    if getattr(libc, function)(*arguments) == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))

def fork():
    if os.fork() == 0:
        os._exit(0)

def attempts(services, where):
    files = services.files
    def inside():
        with open(f"{files}/x", "w") as file: file.write("x")
        os.mkdir(f"{files}/d"); os.rename(f"{files}/x", f"{files}/d/y")
        os.unlink(f"{files}/d/y"); os.rmdir(f"{files}/d")
    def truncate():
        open(f"{files}/t", "w").close()
        os.truncate(f"{files}/t", 0)
    return {
        "write inside": inside,
        "read own": lambda: open(__file__).read(),
        "thread": lambda: threading.Thread(target=int).start(),
        "signal itself": lambda: os.kill(os.getpid(), 0),
        "pair": lambda: socket.socketpair(),
        "tempfile": lambda: __import__("tempfile").TemporaryFile().close(),
        "read database": lambda: open(f"{files}/../data.db").read(),
        "read audit": lambda: open(f"{files}/../../audit.db").read(),
        "read home": lambda: open(where["secret"]).read(),
        "read other": lambda: open(where["other"]).read(),
        "list root": lambda: os.listdir("/"),
        "read passwd": lambda: open("/etc/passwd").read(),
        "write own": lambda: open(__file__, "a"),
        "write tmp": lambda: open("/tmp/spanbridge-never", "w"),
        "write dev": lambda: os.mknod(f"{files}/n"),
        "unix socket": lambda: socket.socket(socket.AF_UNIX).connect(where["socket"]),
        "tcp": lambda: socket.create_connection(("127.0.0.1", where["port"])),
        "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
        "fork": fork,
        "vfork": lambda: call("vfork"),
        "run": lambda: subprocess.run(["/bin/true"]),
        "exec": lambda: os.execv("/bin/true", ["true"]),
        "kill host": lambda: os.kill(os.getppid(), 0),
        "kill all": lambda: os.kill(-1, 0),
        "kill group": lambda: os.killpg(0, 0),
        "ptrace": lambda: call("ptrace", 16, os.getppid(), 0, 0),
        "chmod": lambda: os.chmod(files, 0o777),
        "chown": lambda: os.chown(files, -1, -1),
        "truncate": truncate,
        "utime": lambda: os.utime(files),
        "xattr": lambda: os.setxattr(files, "user.x", b"x"),
        "mount": lambda: call("mount", b"none", files.encode(), b"tmpfs", 0, None),
        "unshare": lambda: call("unshare", 0x10000000),
        "chroot": lambda: os.chroot(files),
        "bpf": lambda: call("syscall", 321, 0, None, 0),
        "io_uring": lambda: call("syscall", 425, 1, None),
        "keyctl": lambda: call("syscall", 250, 0, 0, 0),
        "pidfd": lambda: os.pidfd_open(os.getppid()),
        "prlimit": lambda: __import__("resource").prlimit(os.getppid(), 7),
        "other cpu": lambda: os.sched_setaffinity(0, {0}),
        "signal by descriptor": lambda: fcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, os.getppid()),
        "signal of descriptor": lambda: fcntl.fcntl(os.pipe()[0], 10, signal.SIGKILL),
        "signal by socket": lambda: fcntl.ioctl(socket.socketpair()[0], 0x8901, os.getppid().to_bytes(4, "little")),
        "large pipe": lambda: fcntl.fcntl(os.pipe()[0], 1031, 1 << 20),
        "flags": lambda: os.set_blocking(os.pipe()[0], False),
        "uncounted memory": lambda: os.memfd_create("x"),
        "shared memory": lambda: call("shmget", 1, 4096, 0o1600),
    }

def init(router, services):
    @router.post("/try")
    def tried(req):
        found = {}
        for name, attempt in attempts(services, req.body).items():
            try:
                attempt()
            except BaseException as error:
                found[name] = getattr(error, "errno", None) or type(error).__name__
            else:
                found[name] = "done"
        return found

    @router.get("/environ")
    def environ(req):
        return dict(os.environ)
"""
ALLOWED = {"write inside", "read own", "thread", "signal itself", "pair", "tempfile", "flags"}


def tried(page: Page, site: Site) -> dict[str, Any]:
    """What the attempts came to."""
    secret = site.home.root / "secret"
    secret.write_text("it is secret")
    site.extension("victim", "def init(router, services): pass")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as listener:
        path = site.home.root / "s"
        listener.bind(os.path.relpath(path))
        listener.listen()
        where = {
            "secret": str(secret),
            "other": str(site.home.data_home / "spanbridge/extensions/victim/src/main.py"),
            "socket": os.path.relpath(path),
            "port": server.getsockname()[1],
        }
        answer = page("POST", "/api/ext/hostile/try", where)
        assert answer.status == 200, answer
        path.unlink()
        found: dict[str, Any] = answer.json
        return found


@needs_landlock
def test_what_an_extension_cannot_do(site: Site) -> None:
    site.extension("hostile", ATTEMPTS)
    page = site.session()
    found = tried(page, site)
    assert {name for name, how in found.items() if how == "done"} == ALLOWED
    assert all(how in (1, 13) for name, how in found.items() if name not in ALLOWED), found
    environ = page.get("/api/ext/hostile/environ").json
    assert set(environ) <= {"PATH", "LANG", "LC_ALL", "LC_CTYPE", "HOME", "TMPDIR", "TZ", "USER", "LOGNAME"}
    (told,) = [each for each in page.get("/api/extensions").json["extensions"] if each["name"] == "hostile"]
    assert told["sandbox"] == "landlock"


def test_a_kernel_without_landlock(site: Site, tmp_path: Path) -> None:
    site.extension("hostile", ATTEMPTS)
    site.home.package("test", {"match": {"internal": "extensions"}, "spawn": without_landlock(tmp_path)})
    page = site.session()
    found = tried(page, site)
    # Files lie open; all that goes by system calls is refused as ever.
    files = {"read database", "read audit", "read home", "read other", "list root", "read passwd"}
    files |= {"write own", "write tmp"}
    done = {name for name, how in found.items() if how == "done"}
    assert done >= ALLOWED
    assert done <= ALLOWED | files
    Path("/tmp/spanbridge-never").unlink(missing_ok=True)
    (told,) = [each for each in page.get("/api/extensions").json["extensions"] if each["name"] == "hostile"]
    assert told["sandbox"] == "none"
    assert "no-landlock" in site.log


def test_no_start_without_landlock_if_it_is_required(site: Site, tmp_path: Path) -> None:
    site.extension("hostile", ATTEMPTS)
    site.home.package("test", {"match": {"internal": "extensions"}, "spawn": without_landlock(tmp_path)})
    page = site.session(extension_sandbox="required")
    answer = page.get("/api/ext/hostile/environ")
    assert answer.error == (503, "extension-failed")
    assert "extension_sandbox=required" in answer.json["message"]


def without_landlock(tmp_path: Path) -> list[str]:
    """A command for the relay for whose processes Landlock's calls do not exist."""
    program = tmp_path / "relay-without-landlock"
    program.write_text(
        f"#!{sys.executable}\n"
        "import sys, platform, ctypes\n"
        "from spanbridge.extensions.sandbox.calls import LANDLOCK\n"
        "from spanbridge.extensions.sandbox import filter\n"
        "from spanbridge.extensions.sandbox.restrict import _apply, _prctl\n"
        "verdict = filter.refused(38)\n"
        "filter.rules = lambda wanted: {}\n"
        "code = filter.program(platform.machine(), filter.Filter(0), also=[(n, verdict) for n in LANDLOCK.values()])\n"
        "_prctl(38, 1)\n"
        "_apply(code)\n"
        "from spanbridge.extensions.relay.relay import main\n"
        "sys.exit(main())\n"
    )
    program.chmod(0o755)
    return [str(program)]


# The filter, as a table, on each machine


@pytest.mark.parametrize("machine", [X86_64, AARCH64])
def test_the_filter_decides(machine: str) -> None:
    numbers = NUMBERS[machine]

    def decides(wanted: Filter, name: str, *arguments: int) -> int:
        return verdict(program(machine, wanted), Seen(machine, numbers[name], arguments))

    closed = Filter(pid=1234)
    for name in NEVER:
        if name in numbers:
            assert decides(closed, name) == refused(), name
            assert decides(closed._replace(run=True, families=(2, 10)), name) == refused(), name
    for name in (*STARTS, "execve", "socket"):
        if name in numbers:
            assert decides(closed, name) == refused(), name
    assert decides(closed, "clone3") == refused(38)
    assert decides(closed, "clone", 0x3D0F00) == ALLOW  # a thread, as glibc makes it
    assert decides(closed, "clone", 0x1200011) == refused()  # a process
    assert decides(closed, "kill", 1234, 9) == ALLOW
    for other in (0, 1, 1235, (1 << 64) - 1):
        assert decides(closed, "kill", other, 9) == refused()
        assert decides(closed, "tgkill", other, 1234, 9) == refused()
    for name, command, told in (
        *(("fcntl", each, refused()) for each in (8, 10, 15, 1031)),
        *(("fcntl", each, ALLOW) for each in (0, 1, 2, 3, 4, 9, 1030)),
        *(("ioctl", each, refused()) for each in (0x8901, 0x8902)),
        *(("ioctl", each, ALLOW) for each in (0x5421, 0x541B, 0x8903)),
    ):
        assert decides(closed, name, 5, command) == told, (name, command)
        assert decides(closed._replace(run=True), name, 5, command) == ALLOW
    assert decides(closed, "prlimit64", 0, 7) == ALLOW
    assert decides(closed, "prlimit64", 1 << 32, 7) == refused()
    assert decides(closed, "prlimit64", 99, 7) == refused()
    path = 0x1234_5678_9000
    with_path = closed._replace(path=path)
    assert decides(with_path, "execve", path) == ALLOW
    assert decides(with_path, "execve", path + 1) == refused()
    assert decides(with_path, "execve", path & 0xFFFFFFFF) == refused()
    online = closed._replace(families=(2, 10))
    assert decides(online, "socket", 2, 1) == ALLOW
    assert decides(online, "socket", 10, 1 | 0o2000000) == ALLOW
    assert decides(online, "socket", 2, 2) == refused()
    assert decides(online._replace(datagrams=True), "socket", 2, 2) == ALLOW
    assert decides(online._replace(datagrams=True), "socket", 2, 3) == refused()
    assert decides(online, "socket", 1, 1) == refused()
    running = closed._replace(run=True)
    assert decides(running, "execve", 1) == ALLOW
    assert decides(running, "clone", 0x1200011) == ALLOW
    assert decides(running, "clone", 0x10000000 | 17) == refused()  # a user namespace
    assert decides(running, "socket", 1, 1) == refused()


@pytest.mark.parametrize("machine", [X86_64, AARCH64])
@pytest.mark.parametrize("pid", [1, 0x0F1F2F, 1 << 22])
def test_one_that_was_prepared_is_that_of_the_process(machine: str, pid: int) -> None:
    for wanted in (Filter(pid), Filter(pid, (2, 10), datagrams=True), Filter(pid, run=True), Filter(pid, path=1 << 40)):
        assert program_of(machine, wanted) == program(machine, wanted)


@pytest.mark.parametrize("machine", [X86_64, AARCH64])
def test_what_has_no_rule_is_allowed_and_other_machines_are_not(machine: str) -> None:
    code = program(machine, Filter(pid=1))
    assert verdict(code, Seen(machine, 9_999, ())) == ALLOW
    other = AARCH64 if machine == X86_64 else X86_64
    assert verdict(code, Seen(other, 9_999, ())) == KILL
    if machine == X86_64:
        assert verdict(code, Seen(machine, 0x40000000 | 1, ())) == refused()


@pytest.mark.parametrize("machine", [X86_64, AARCH64])
def test_numbers_are_those_of_the_kernel(machine: str) -> None:
    """As far as this machine's headers know them."""
    import re

    generic = machine == AARCH64
    path = Path("/usr/include/asm-generic/unistd.h" if generic else "/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    if not path.exists():
        pytest.skip("needs linux-libc-dev")
    known = {found[1]: int(found[2]) for found in re.finditer(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", path.read_text())}
    numbers = NUMBERS[machine]
    assert len(set(numbers.values())) == len(numbers)
    assert {name: number for name, number in numbers.items() if known.get(name, number) != number} == {}
    newer = {"fchmodat2", "setxattrat", "removexattrat", "open_tree_attr", "file_setattr"}
    assert {name for name in numbers if name not in known} <= newer
    if generic:
        # All that x86-64 has, but for what newer machines never had.
        assert set(NUMBERS[X86_64]) - set(numbers) == {
            name for name in NUMBERS[X86_64] if name not in known and name not in newer
        }


# Permissions


@needs_landlock
def test_permissions_lift_it_as_far_as_was_agreed(site: Site) -> None:
    shared = site.home.root / "shared"
    shared.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as allowed, socket.create_server(("127.0.0.1", 0)) as other:
        ports = [server.getsockname()[1] for server in (allowed, other)]
        asks = {"network": ports[:1], "read": ["/etc/passwd"], "write": [str(shared)], "run": True}
        site.extension(
            "wants",
            """
            import os, socket, subprocess

            def init(router, services):
                @router.post("/try")
                def tried(req):
                    found = {}
                    def attempt(name, function):
                        try:
                            found[name] = str(function())
                        except OSError as error:
                            found[name] = error.errno
                    attempt("port", lambda: socket.create_connection(("127.0.0.1", req.body[0])).close())
                    attempt("other port", lambda: socket.create_connection(("127.0.0.1", req.body[1])).close())
                    attempt("unix", lambda: socket.socket(socket.AF_UNIX))
                    attempt("read", lambda: len(open("/etc/passwd").read()) > 0)
                    attempt("other file", lambda: open("/etc/group").read())
                    attempt("write", lambda: open(req.body[2] + "/x", "w").close())
                    attempt("run", lambda: subprocess.run(["/bin/echo", "ran"], capture_output=True).stdout)
                    attempt("kill", lambda: os.kill(os.getppid(), 0))
                    return found
            """,
            spanbridge={"permissions": asks},
        )
        page = site.session()
        path = "/api/ext/wants/try"
        assert page("POST", path, []).error == (503, "needs-consent")
        enable = "/api/extensions/wants/enable"
        assert page("POST", enable, {"permissions": {**asks, "run": False}}).error == (409, "permissions-differ")
        assert page("POST", path, []).error == (503, "needs-consent")
        assert page("POST", enable, {"permissions": asks}).status == 200
        found = page("POST", path, [*ports, str(shared)]).json
    assert found.pop("other port") in (1, 13)
    assert found.pop("other file") in (1, 13)
    assert found.pop("unix") == 1
    found.pop("kill")
    assert found == {"port": "None", "read": "True", "write": "None", "run": "b'ran\\n'"}
    assert (shared / "x").exists()


def test_node_is_locked_in_too(site: Site) -> None:
    if shutil.which("node") is None:
        lack("missing: node", "nodejs")
    site.extension(
        "hostile",
        """
        const fs = require('node:fs'), net = require('node:net'), child = require('node:child_process')
        module.exports = { name: 'hostile', version: '1', init(router, services) {
          router.get('/try', (req, res) => {
            const found = {}
            const attempt = (name, f) => { try { f(); found[name] = 'done' } catch (e) { found[name] = e.code } }
            attempt('write', () => fs.writeFileSync(services.files + '/x', 'x'))
            attempt('read', () => fs.readFileSync(__filename))
            attempt('passwd', () => fs.readFileSync('/etc/passwd'))
            attempt('database', () => fs.readFileSync(services.files + '/../data.db'))
            attempt('run', () => { const r = child.spawnSync('/bin/true'); if (r.error) throw r.error })
            attempt('chmod', () => fs.chmodSync(services.files, 0o777))
            attempt('kill', () => process.kill(process.ppid, 0))
            net.connect('/run/x').on('error', (e) => { found.socket = e.code; res.json(found) })
          })
        } }
        """,
        main="index.js",
    )
    found = site.session().get("/api/ext/hostile/try").json
    assert found.pop("write") == "done"
    assert found.pop("read") == "done"
    if landlock_abi():
        assert set(found.values()) <= {"EPERM", "EACCES"}, found


def test_a_loss_of_power_is_not_needed_for_private_files(site: Site) -> None:
    site.extension("victim", "def init(router, services): services.db.exec('CREATE TABLE ext_victim_a (x)')")
    page = site.session()
    assert page.get("/api/ext/victim/").status == 404
    for path in (site.state, site.state / "victim", site.state / "victim/files"):
        assert path.stat().st_mode & 0o777 == 0o700
    for path in (*site.state.glob("*/data.db*"), *site.state.glob("audit.db*"), site.state / "host.log"):
        assert path.stat().st_mode & 0o777 == 0o600, path
    with sqlite3.connect(site.state / "victim/data.db") as raw:
        assert raw.execute("SELECT name FROM sqlite_master").fetchall() == [("ext_victim_a",)]


@pytest.mark.root
@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_as_an_ordinary_user(tmp_path: Path) -> None:
    """The sandbox alone, by a process of the user nobody: nothing of it needs privileges."""
    if landlock_abi() == 0:
        pytest.skip("the kernel has no Landlock")
    code = (
        "import os, sys\n"
        "from spanbridge.extensions.sandbox import Cage, restrict\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "restrict(Cage('/usr/lib', sys.argv[1], 1 << 30, 256, 1 << 30))\n"
        "for path in ('/etc/passwd', '/root'):\n"
        "    try: os.open(path, os.O_RDONLY)\n"
        "    except PermissionError: continue\n"
        "    sys.exit(3)\n"
        "open(sys.argv[1] + '/x', 'w').close()\n"
    )
    files = Path("/tmp") / f"spanbridge-test-{os.getpid()}"
    files.mkdir(mode=0o777)
    files.chmod(0o777)
    try:
        done = subprocess.run([sys.executable, "-c", code, str(files)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    finally:
        shutil.rmtree(files)
