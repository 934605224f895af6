"""A user of this machine, made for a test and removed after it, and what sudo lets that user do."""

import fcntl
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from ..missing import lack
from .installation import User

NEEDED: Final = ("/usr/bin/sudo", "/usr/sbin/useradd", "/usr/sbin/userdel", "/usr/sbin/chpasswd", "/usr/bin/setpriv")
# Without a character that any way of quoting would change: it is searched for in logs.
PASSWORD: Final = "correct-horse-staple"  # noqa: S105 - of users who live as long as a test
_SUDOERS: Final = Path("/etc/sudoers.d")
_TRACES: Final = (Path("/var/lib/sudo/lectured"), Path("/run/sudo/ts"))
# Nobody gets mail about what the tests do.
_QUIET: Final = "Defaults:{name} !mail_badpass, !mail_no_user, !mail_no_perms, !syslog\n"


def require_sudo() -> None:
    """Skip the test where users cannot be made; fail it where the run has to be a full one."""
    missing = [path for path in NEEDED if not Path(path).exists()]
    if os.getuid() == 0 and not missing:
        return
    lack(f"missing: {', '.join(missing) or 'uid 0'}")


class RealUser:
    """`user` is whom a bridge runs as; PASSWORD is the password."""

    def __init__(self, user: User) -> None:
        self.user = user
        self._sudoers = _SUDOERS / user.name

    def may(self, *lines: str) -> None:
        """What sudo lets this user do, as lines of sudoers(5) in which {name} is the user. None: nothing."""
        text = _QUIET + "".join(f"{line}\n" for line in lines)
        new = _SUDOERS / f"{self.user.name}.new"  # sudo passes over names with a dot
        new.write_text(text.format(name=self.user.name))
        new.chmod(0o440)
        subprocess.run(["/usr/sbin/visudo", "-cqf", str(new)], check=True)
        new.rename(self._sudoers)

    def forget(self) -> None:
        """As if sudo had never seen this user."""
        self._sudoers.unlink(missing_ok=True)
        for directory in _TRACES:
            for name in (self.user.name, str(self.user.uid)):
                (directory / name).unlink(missing_ok=True)


@contextmanager
def real_user() -> Iterator[RealUser]:
    """One with a name of its own, so that tests that run side by side do not meet."""
    name = f"spanbridge-{secrets.token_hex(4)}"
    home = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    _with_lock(["useradd", "--home-dir", str(home), "--no-create-home", "--shell", "/bin/bash", "--user-group", name])
    try:
        _with_lock(["chpasswd"], f"{name}:{PASSWORD}\n")
        entry = pwd.getpwnam(name)
        os.chown(home, entry.pw_uid, entry.pw_gid)
        user = RealUser(User(name, entry.pw_uid, entry.pw_gid))
        user.may()
        try:
            yield user
        finally:
            user.forget()
    finally:
        _with_lock(["userdel", name])
        shutil.rmtree(home)


def _with_lock(command: Sequence[str], text: str = "") -> None:
    """One at a time: the user database is one file, and these programs give up early."""
    path = Path(tempfile.gettempdir()) / "spanbridge-tests-users.lock"
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        told = subprocess.run(
            [f"/usr/sbin/{command[0]}", *command[1:]], input=text, text=True, capture_output=True, check=False
        )
    if told.returncode:
        raise RuntimeError(f"{command[0]}: {told.stderr}")


def where_it_shows(secret: str, pids: Sequence[int]) -> list[str]:
    """Where among the arguments and the environment of these processes `secret` is found."""
    found = []
    for pid in pids:
        for name in ("cmdline", "environ"):
            with suppress(OSError):  # it has ended meanwhile
                if secret.encode() in Path(f"/proc/{pid}/{name}").read_bytes():
                    found.append(f"{pid}/{name}")
    return found
