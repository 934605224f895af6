"""The bridge installed where every user can run it: the tests' own environment may lie where only root looks."""

import os
import pwd
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

from spanbridge.testing import script

from ..missing import lack

_OURS: Final = ("spanbridge",)
_NEEDED: Final = ("anyio", "h11", "idna", "msgspec", "sniffio", "typing_extensions", "inotify_simple", "websockets")
_HERE: Final = Path(__file__).parent
_HELPERS: Final = (script.PROGRAM, _HERE / "socket_helper.py")
_SCRIPT: Final = """\
#!{python} -IS
import sys
sys.path.insert(0, {library!r})
from {module} import main
sys.exit(main())
"""
_VERSION: Final = "import sys; print(*sys.version_info[:2])"


class User(NamedTuple):
    """Whom a bridge runs as."""

    name: str
    uid: int
    gid: int

    @property
    def prefix(self) -> tuple[str, ...]:
        """What comes before a command that is to run as this user; it becomes that command, under the same pid."""
        if self.uid == os.getuid():
            return ()
        ids = ("--reuid", str(self.uid), "--regid", str(self.gid))
        return ("/usr/bin/setpriv", *ids, "--clear-groups", "--")


def ordinary_user() -> User:
    """Who runs the tests, or `nobody` where that is root."""
    entry = pwd.getpwuid(os.getuid()) if os.getuid() else pwd.getpwnam("nobody")
    return User(entry.pw_name, entry.pw_uid, entry.pw_gid)


class Installation:
    """`spanbridge` and `spanbridge-askpass` side by side, and a Python that everybody can run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.python = _python_for(ordinary_user())
        self.helpers = root / "helpers"
        library = root / "lib"
        library.mkdir()
        for name in (*_OURS, *_NEEDED):
            _copy(name, library)
        # Nobody but us can write there: without this each start would compile all modules anew.
        subprocess.run(
            [self.python, "-IS", "-m", "compileall", "-q", str(library)], check=True, stdout=subprocess.DEVNULL
        )
        self.helpers.mkdir()
        for source in _HELPERS:
            shutil.copy(source, self.helpers)
        binaries = root / "bin"
        binaries.mkdir()
        self.spanbridge = self._script(binaries / "spanbridge", "spanbridge.cli")
        self.askpass = self._script(binaries / "spanbridge-askpass", "spanbridge.askpass")
        for path in (root, *root.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.parent == binaries else 0o644)

    def _script(self, path: Path, module: str) -> Path:
        path.write_text(_SCRIPT.format(python=self.python, library=str(self.root / "lib"), module=module))
        return path


def _copy(name: str, library: Path) -> None:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        return
    origin = Path(spec.origin)
    if origin.name == "__init__.py":
        shutil.copytree(origin.parent, library / name, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(origin, library)


def _python_for(user: User) -> str:
    """A Python of our own version (compiled modules are made for one) that this user can run."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    named = shutil.which(f"python{version}", path="/usr/bin:/usr/local/bin")
    for candidate in (os.path.realpath(sys.executable), named):
        if candidate is None:
            continue
        # By way of a shell: setpriv itself may still look where this user may not.
        command = [*user.prefix, "/bin/sh", "-c", 'exec "$0" "$@"', candidate, "-IS", "-c", _VERSION]
        try:
            told = subprocess.run(command, capture_output=True, check=False, cwd="/")
        except OSError:
            continue
        if told.stdout.decode().split() == version.split("."):
            return candidate
    return lack(f"no Python {version} that the user {user.name} can run")


def open_directory(directory: Path) -> Path:
    """The same directory, which others may now enter."""
    directory.chmod(0o755)
    return directory
