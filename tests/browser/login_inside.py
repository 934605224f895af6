"""Makes the machine of login_machine.py, in a mount namespace of its own.

    unshare --mount python3 -I login_inside.py USER PASSWORD [BACKPORTS]

BACKPORTS: the directory with another front end and its bridge, which takes the place of the installed one. Prints a
line when all is there, and ends with its stdin.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

SESSION = "/usr/lib/cockpit/cockpit-session"
SOCKET = Path("/run/cockpit/session")
RECORDS = ("wtmp", "btmp", "lastlog")
BUS = """\
<busconfig>
  <type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
  <policy context="default"><allow user="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy>
</busconfig>
"""


def main() -> None:
    user, password, *newer = sys.argv[1:]
    mount("--make-rprivate", "/")
    work = tempfile.mkdtemp(prefix="spanbridge-machine-")
    mount("-t", "tmpfs", "-o", "mode=755", "none", work)
    replace_etc(Path(work))
    replace_local_bin(Path(work))
    for directory in ("/home", "/run", "/var/log", "/var/lib/sudo"):
        if os.path.isdir(directory):
            mount("-t", "tmpfs", "-o", "mode=755", "none", directory)
    for name in RECORDS:
        Path("/var/log", name).touch(0o600)
    make_user(user, password)
    bus = start_bus(Path(work))
    if newer:
        replace_front_end(Path(newer[0]), Path(work))
        stand_in_for_systemd()
    print("ready", flush=True)
    sys.stdin.read()
    bus.kill()
    bus.wait()
    subprocess.run(["umount", "--lazy", work], check=True)
    os.rmdir(work)


def replace_etc(work: Path) -> None:
    """By a copy in memory."""
    copy = work / "etc"
    copy.mkdir()
    subprocess.run(["cp", "-a", "/etc/.", copy], check=True)
    shutil.rmtree(copy / "cockpit", ignore_errors=True)
    (copy / "cockpit").mkdir()
    for entry in (copy / "sudoers.d").iterdir():  # of tests that run beside this one
        entry.unlink()
    mount("--bind", str(copy), "/etc")


def replace_local_bin(work: Path) -> None:
    """By links to what is there."""
    there, links = work / "local-bin-there", work / "local-bin"
    there.mkdir()
    links.mkdir()
    mount("--bind", "/usr/local/bin", str(there))
    for path in there.iterdir():
        if path.name != "cockpit-bridge":
            (links / path.name).symlink_to(path)
    mount("--bind", str(links), "/usr/local/bin")


def make_user(user: str, password: str) -> None:
    subprocess.run(["/usr/sbin/useradd", "--create-home", "--shell", "/bin/bash", "--user-group", user], check=True)
    subprocess.run(["/usr/sbin/chpasswd"], input=f"{user}:{password}\n", text=True, check=True)
    rule = Path("/etc/sudoers.d", user)
    rule.write_text(f"Defaults !syslog, !lecture\n{user} ALL=(ALL) ALL\n")
    rule.chmod(0o440)


def replace_front_end(backports: Path, work: Path) -> None:
    for directory in ("/usr/lib/cockpit", "/usr/share/cockpit"):
        mount("--bind", f"{backports}{directory}", directory)
    bridge = work / "cockpit-bridge"
    packages = backports / "usr/lib/python3/dist-packages"
    bridge.write_text(f'#!/bin/sh\nPYTHONPATH={packages} exec /usr/bin/python3 -m cockpit.bridge "$@"\n')
    bridge.chmod(0o755)
    mount("--bind", str(bridge), "/usr/bin/cockpit-bridge")


def start_bus(work: Path) -> "subprocess.Popen[bytes]":
    """A system bus with nobody on it: the newer bridge does not live without one."""
    Path("/run/dbus").mkdir()
    config = work / "bus.conf"
    config.write_text(BUS)
    command = ["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address"]
    bus = subprocess.Popen(["setpriv", "--pdeathsig=KILL", *command], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    assert bus.stdout is not None
    assert bus.stdout.readline(), "the system bus has not started"
    return bus


def stand_in_for_systemd() -> None:
    """The newer one leaves it to systemd to start a cockpit-session for each connection to a socket."""
    SOCKET.parent.mkdir()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(SOCKET))
    listener.listen()
    threading.Thread(target=serve_sessions, args=(listener,), daemon=True).start()


def serve_sessions(listener: socket.socket) -> None:
    while True:
        sock, _ = listener.accept()
        with sock:
            session = subprocess.Popen([SESSION], stdin=sock.fileno(), stdout=sock.fileno(), env={})
        threading.Thread(target=session.wait, daemon=True).start()


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


if __name__ == "__main__":
    main()
