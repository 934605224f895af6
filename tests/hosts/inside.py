"""Runs in namespaces of its own (farm.py): puts the farm's files in the place of the machine's, and starts sshd.

    python3 inside.py DIRECTORY     within `unshare --mount --net`, as root

Prints a line when all is there, and ends with its stdin; all that it started goes with it.
"""

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

_SIOCSIFFLAGS = 0x8914
_IFF_UP_RUNNING = 0x41


def main() -> None:
    directory = Path(sys.argv[1])
    _mount("--make-rprivate", "/")
    with socket.socket() as sock:
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP_RUNNING))
    _open_up(directory, [Path(sys.base_prefix), Path(sys.prefix), Path(__file__).resolve().parents[2]])
    _mount("-t", "tmpfs", "tmpfs", "/run")
    Path("/run/sshd").mkdir(mode=0o755)
    _replace_etc(directory / "etc", directory / "etc-of-machine")
    listening = socket.create_server(("", int(sys.argv[2])), backlog=1)  # mute: takes one connection and never answers
    # Processes of the far side see themselves alone, and go with the one that is their first.
    command = [
        "setpriv",
        "--pdeathsig",
        "KILL",
        "--",
        "unshare",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount",
        "--mount-proc",
    ]
    command += ["/usr/sbin/sshd", "-D", "-f", str(directory / "sshd_config"), "-E", str(directory / "sshd.log")]
    sshd = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    _wait_for(("127.0.0.1", 22), sshd)
    print("ready", flush=True)
    sys.stdin.read()
    sshd.kill()
    listening.close()


def _wait_for(address: tuple[str, int], sshd: "subprocess.Popen[bytes]") -> None:
    while True:
        if sshd.poll() is not None:
            sys.exit(f"sshd ended with status {sshd.returncode}")
        try:
            socket.create_connection(address).close()
        except ConnectionRefusedError:
            os.sched_yield()
        else:
            return


def _replace_etc(ours: Path, machine: Path) -> None:
    """A new /etc: what is in `ours`, and for all else links to the machine's, which is at `machine` then.

    Not file over file: such a mount goes when somebody out there replaces the file, as useradd does with passwd.
    """
    machine.mkdir()
    _mount("--bind", "/etc", str(machine))
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/etc")
    shutil.copytree(ours, "/etc", dirs_exist_ok=True)
    for path in machine.iterdir():
        if not (ours / path.name).exists():
            Path("/etc", path.name).symlink_to(path)


def _open_up(directory: Path, needed: list[Path]) -> None:
    """Let everybody reach this Python and this project, be they in a home that is closed to others."""
    closed = {path: shut for path in needed if (shut := _shut(path)) is not None}
    for number, path in enumerate(closed):
        kept = directory / f"kept-{number}"
        kept.mkdir()
        _mount("--bind", str(path), str(kept))
    for shut in set(closed.values()):
        _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(shut))
    for number, path in enumerate(closed):
        path.mkdir(parents=True, exist_ok=True)
        _mount("--bind", str(directory / f"kept-{number}"), str(path))


def _shut(path: Path) -> Path | None:
    """The outermost directory on the way to `path` that not everybody may pass."""
    return next((place for place in (*reversed(path.parents), path) if not place.stat().st_mode & 0o001), None)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


if __name__ == "__main__":
    main()
