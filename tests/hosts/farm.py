"""A machine of its own for sshd: users, passwords, keys, PAM and names that only its namespaces know.

Nothing of the machine's is touched: what stands in `etc` below the farm's directory is mounted over /etc in a mount
namespace, 127.0.0.0/8 is the loopback of a network namespace, and the processes of the far side are in a pid namespace
that ends with the farm.
"""

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

INSIDE: Final = Path(__file__).with_name("inside.py")
PASSWORD: Final = "sesam"
CODE: Final = "123456"
ADMINISTRATOR: Final = "carol"
"""Whom sudo lets be root over there, for the password. All of spanbridge is there for this one."""
MUTE_PORT: Final = 2222
"""Somebody listens there and says nothing."""
REFUSING_PORT: Final = 2223
"""Nobody listens there."""


class Persona(NamedTuple):
    """A user of the far side. `login`: its shell. `config`: what sshd does otherwise for it. `files`: in its home.
    `bridge`: what is linked into its ~/.local/bin, by name."""

    login: str = "/bin/bash"
    config: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    bridge: tuple[tuple[str, str], ...] = ()
    expired: bool = False
    key_options: str = ""


class Farm:
    """Made by `farm`. `front` is the user that bridges run as."""

    def __init__(self, directory: Path, personas: dict[str, Persona]) -> None:
        self.directory = directory
        self.front_uid = 20_000
        self.front_home = directory / "homes" / "front"
        self.personas = personas
        self.uids = {"front": self.front_uid, **{name: 20_001 + n for n, name in enumerate(personas)}}
        self.entered: list[str] = []  # what runs a command within, as root
        self.host_key = ""
        self._fronts = iter(range(1_000_000))

    @property
    def as_front(self) -> list[str]:
        """What runs a command as the front's user."""
        uid = str(self.front_uid)
        return [shutil.which("setpriv") or "setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", "--"]

    @property
    def command(self) -> list[str]:
        """What runs a command within, as the front's user."""
        return [*self.entered, *self.as_front]

    # Files

    def prepare(self) -> None:
        """Write all that the namespaces are to see."""
        for name in ("etc/ssh", "etc/pam.d", "homes", "keys", "fronts"):
            (self.directory / name).mkdir(parents=True)
        self.directory.chmod(0o755)
        self._keygen("host")
        self._keygen("user")
        self._keygen("locked", PASSWORD)
        self._keygen("other")
        self.host_key = " ".join((self.directory / "keys/host.pub").read_text().split()[:2])
        self._write_users()
        for name in self.uids:
            self._write_home(name)
        (self.directory / "etc/hosts").write_text(
            "127.0.0.1 localhost far\n127.0.0.2 jump\n127.0.0.3 other\n::1 localhost six\n"
        )
        (self.directory / "etc/nsswitch.conf").write_text("passwd: files\nshadow: files\ngroup: files\nhosts: files\n")
        (self.directory / "etc/ssh/ssh_config").write_text("Host *\n    KexAlgorithms curve25519-sha256\n")
        (self.directory / "etc/pam.d/sshd").write_text(
            "auth required pam_unix.so nodelay\n"
            f"auth [success=ignore default=1] pam_succeed_if.so quiet user = twofactor\n"
            f"auth required {self.directory}/pam_code.so\n"
            "account required pam_unix.so\n"
            "password required pam_unix.so\n"
            "session required pam_unix.so\n"
        )
        (self.directory / "etc/pam.d/sudo").write_text(
            "auth required pam_unix.so nodelay\naccount required pam_unix.so\nsession required pam_permit.so\n"
        )
        sudoers = self.directory / "etc/sudoers"
        sudoers.write_text(f"Defaults !syslog\n{ADMINISTRATOR} ALL=(ALL) ALL\n")
        sudoers.chmod(0o440)
        self._write_sshd_config()
        self._build_pam_module()

    def _keygen(self, name: str, passphrase: str = "") -> None:
        path = self.directory / "keys" / name
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", str(path)],
            check=True,
            stdin=subprocess.DEVNULL,
        )

    def _write_users(self) -> None:
        crypt = ctypes.CDLL("libcrypt.so.1").crypt
        crypt.restype = ctypes.c_char_p
        hashed = crypt(PASSWORD.encode(), b"$5$rounds=1000$saltsalt$").decode()
        passwd = ["root:x:0:0:root:/root:/bin/bash", "sshd:x:19999:65534::/run/sshd:/usr/sbin/nologin"]
        passwd.append(f"front:x:{self.front_uid}:{self.front_uid}::{self.front_home}:/bin/bash")
        shadow = ["root:*:19000:0:99999:7:::", f"front:{hashed}:19000:0:99999:7:::"]
        group = ["root:x:0:", "nogroup:x:65534:", f"front:x:{self.front_uid}:"]
        for name, persona in self.personas.items():
            uid = self.uids[name]
            passwd.append(f"{name}:x:{uid}:{uid}::{self.home(name)}:{persona.login}")
            shadow.append(f"{name}:{hashed}:{0 if persona.expired else 19000}:0:99999:7:::")
            group.append(f"{name}:x:{uid}:")
        for file, lines, mode in (("passwd", passwd, 0o644), ("shadow", shadow, 0o600), ("group", group, 0o644)):
            path = self.directory / "etc" / file
            path.write_text("\n".join(lines) + "\n")
            path.chmod(mode)

    def _write_home(self, name: str) -> None:
        home = self.home(name)
        (home / ".ssh").mkdir(parents=True, mode=0o700)
        persona = self.personas.get(name)
        if persona is not None:
            options = persona.key_options and f"{persona.key_options} "
            keys = "".join(f"{options}{(self.directory / f'keys/{key}.pub').read_text()}" for key in ("user", "locked"))
            (home / ".ssh/authorized_keys").write_text(keys)
            for link, target in persona.bridge:
                (home / ".local/bin").mkdir(parents=True, exist_ok=True)
                (home / ".local/bin" / link).symlink_to(target)
            for path, text in persona.files:
                (home / path).parent.mkdir(parents=True, exist_ok=True)
                (home / path).write_text(text)
                if text.startswith("#!"):
                    (home / path).chmod(0o755)
        self.give(home, name)

    def _write_sshd_config(self) -> None:
        lines = [
            "Port 22",
            "Port 2200",
            f"HostKey {self.directory}/keys/host",
            "UsePAM yes",
            "PasswordAuthentication yes",
            "KbdInteractiveAuthentication yes",
            "MaxStartups 1000",
            "MaxSessions 1000",
            "PidFile none",
            "PrintMotd no",
            "UseDNS no",
            "LogLevel VERBOSE",
        ]
        for name, persona in self.personas.items():
            if persona.config:
                lines += [f"Match User {name}", *(f"    {line}" for line in persona.config)]
        (self.directory / "sshd_config").write_text("\n".join(lines) + "\n")

    def _build_pam_module(self) -> None:
        source = Path(__file__).with_name("pam_code.c")
        target = self.directory / "pam_code.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-w", "-o", str(target), str(source)], check=True)

    # The user of the near side

    def home(self, name: str) -> Path:
        return self.directory / "homes" / name

    def give(self, path: Path, name: str = "front") -> None:
        """Make it the user's, with all that is in it."""
        uid = self.uids[name]
        for each in (path, *path.rglob("*")):
            os.chown(each, uid, uid, follow_symlinks=False)

    def new_front(self) -> Path:
        """Where a bridge may have its directories; not there yet. A short path, as sockets need it."""
        return self.directory / "fronts" / str(next(self._fronts))

    def forget(self) -> None:
        """The user of the near side knows no host and has no key or configuration."""
        shutil.rmtree(self.front_home / ".ssh", ignore_errors=True)
        (self.front_home / ".ssh").mkdir(mode=0o700)
        self.give(self.front_home / ".ssh")

    def write(self, name: str, text: str) -> None:
        """A file of its ~/.ssh."""
        path = self.front_home / ".ssh" / name
        path.write_text(text)
        path.chmod(0o600)
        self.give(path)

    def trust(self) -> None:
        """Every host is known by the key that it has."""
        self.write("known_hosts", f"* {self.host_key}\n")

    def use_key(self, name: str = "user") -> None:
        for suffix in ("", ".pub"):
            self.write(f"id_ed25519{suffix}", (self.directory / f"keys/{name}{suffix}").read_text())

    def add_key(self, agent: Path, name: str) -> None:
        """Load one of our keys into an agent."""
        key = self.directory / "keys" / name
        self.give(key)
        command = [*self.command, "env", f"SSH_AUTH_SOCK={agent}", "ssh-add", "-q", str(key)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)

    def run(self, *arguments: object, environ: Mapping[str, str]) -> str:
        """What a program says that runs as our user."""
        command = [*self.command, *map(str, arguments)]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environ).stdout

    def ask(self, path: str) -> bytes:
        """What our user gets that asks at a socket and is nobody's child."""
        code = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
        code += "try: s.sendall(b'\\0what?\\0'); sys.stdout.buffer.write(s.recv(100))\nexcept OSError: pass"
        command = [*self.command, sys.executable, "-c", code, path]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout

    @property
    def log(self) -> str:
        """What sshd has said."""
        return (self.directory / "sshd.log").read_text(errors="replace")


@contextlib.contextmanager
def farm(
    personas: Callable[[Path], dict[str, Persona]], furnish: Callable[[Path], None] = lambda directory: None
) -> Iterator[Farm]:
    """A farm that runs. `personas` are its users, `furnish` puts into its directory what they need."""
    directory = Path(tempfile.mkdtemp(prefix="farm-"))
    try:
        furnish(directory)
        made = Farm(directory, personas(directory))
        made.prepare()
        command = ["unshare", "--mount", "--net", "--", sys.executable, str(INSIDE), str(directory), str(MUTE_PORT)]
        inside = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            assert inside.stdout is not None
            if inside.stdout.readline() != b"ready\n":
                raise RuntimeError("the farm did not start")
            made.entered = entering(inside.pid)
            yield made
        finally:
            assert inside.stdin is not None
            inside.stdin.close()
            inside.wait()
    finally:
        shutil.rmtree(directory)


def entering(pid: int) -> list[str]:
    """What runs a command in the namespaces of `pid`."""
    return [shutil.which("nsenter") or "nsenter", f"--mount=/proc/{pid}/ns/mnt", f"--net=/proc/{pid}/ns/net", "--"]
