"""Build the Debian package: spanbridge with all that it imports, for the Pythons of Debian 12 and 13.

    python deb/build.py [--out DIRECTORY] [--architecture amd64|arm64]

It lies in /usr/lib/spanbridge, which is a virtual environment of the system's Python: the one that is there, 3.11 or
3.13, finds the compiled modules made for it, and in `lib/all` what is the same for both. The same tree gives the same
bytes, whenever and wherever it is built.
"""

import argparse
import calendar
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

TOP: Final = Path(__file__).resolve().parents[1]
HERE: Final = TOP / "deb"
WHEELS: Final = TOP / "build" / "deb"
"""Downloaded wheels are kept here."""

PYTHONS: Final = ("3.11", "3.13")
MACHINES: Final = {"amd64": "x86_64", "arm64": "aarch64"}
_GLIBC: Final = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")

PRIVATE: Final = "usr/lib/spanbridge"
_PYTHON: Final = f"/{PRIVATE}/bin/python3"

_LAUNCHER: Final = """\
#!{python} -IS
import sys

if sys.flags.no_site:  # it takes 3 ms to find these two
    own = "/{private}/lib/python%d.%d/site-packages" % sys.version_info[:2]
    sys.path += [own, "/{private}/lib/all"]
    sys.prefix = sys.exec_prefix = "/{private}"

from spanbridge.{module} import main

sys.exit(main())
"""

_PYVENV: Final = """\
home = /usr/bin
include-system-site-packages = false
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the Debian package.")
    parser.add_argument("--out", type=Path, default=TOP / "dist")
    parser.add_argument("--architecture", choices=MACHINES, default=_own_architecture())
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="spanbridge-deb-") as temporary:
        print(build(Path(temporary), options.out, options.architecture))


def build(work: Path, out: Path, architecture: str) -> Path:
    """The package, made in the empty directory `work`."""
    epoch = _epoch()
    wheel = _own_wheel(work / "wheel", epoch)
    version = wheel.name.split("-")[1]
    root = work / "root"
    _put_modules(root, [wheel], work / "data", PYTHONS[0])
    licenses = {}
    for python in PYTHONS:
        wheels = _dependencies(python, architecture)
        _put_modules(root, wheels, work / "data", python)
        licenses.update({_title(wheel): _license(wheel) for wheel in wheels})
    _put_commands(root)
    _put_data(root, work / "data" / "share", licenses)
    _put_control(root, version, architecture)
    _settle(root, epoch)
    out.mkdir(parents=True, exist_ok=True)
    package = out / f"spanbridge_{version}_{architecture}.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "--threads-max=1", "-Zxz", "--build", root, package],
        env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return package


def _own_architecture() -> str:
    done = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _epoch() -> int:
    """SOURCE_DATE_EPOCH, or else the day of the newest release."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    found = re.search(r"^## .*\((\d{4}-\d\d-\d\d)\)$", (TOP / "CHANGELOG.md").read_text(), re.MULTILINE)
    if found is None:
        raise SystemExit("CHANGELOG.md: no heading with a date")
    return calendar.timegm(time.strptime(found[1], "%Y-%m-%d"))


# What it is made of


def _own_wheel(directory: Path, epoch: int) -> Path:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", directory],
        cwd=TOP,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    (wheel,) = directory.glob("*.whl")
    return wheel


def _dependencies(python: str, architecture: str) -> list[Path]:
    """The wheels that requirements.txt names, from the network only where they are not here yet."""
    requirements = HERE / "requirements.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]
    kept = WHEELS / f"{digest}-{architecture}-{python}"
    if not kept.is_dir():
        new = Path(f"{kept}.new")
        shutil.rmtree(new, ignore_errors=True)
        platforms = [f"--platform={glibc}_{MACHINES[architecture]}" for glibc in _GLIBC]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        target = ["--implementation=cp", f"--python-version={python}", *platforms]
        subprocess.run([*command, "--require-hashes", *target, "-d", new, "-r", requirements], check=True)
        new.rename(kept)
    return sorted(kept.glob("*.whl"))


def _title(wheel: Path) -> str:
    name, version, *_ = wheel.name.split("-")
    return f"{name.replace('_', '-')} {version}"


def _license(wheel: Path) -> str:
    """Its licence, which the package has to carry."""
    with zipfile.ZipFile(wheel) as archive:
        names = sorted(name for name in archive.namelist() if re.search(r"\.dist-info/.*(LICEN[CS]E|COPYING)", name))
        if not names:
            raise SystemExit(f"{wheel.name}: has no licence")
        return "\n".join(archive.read(name).decode() for name in names)


# Where it goes


def _put_modules(root: Path, wheels: list[Path], data: Path, python: str) -> None:
    """Compiled ones where this Python alone looks, others where all look; files of `.data/data` below `data`."""
    library = root / PRIVATE / "lib"
    own = library / f"python{python}" / "site-packages"
    own.mkdir(parents=True, exist_ok=True)
    (own / "all.pth").write_text("../../all\n")
    for wheel in wheels:
        place = library / "all" if wheel.name.endswith("-none-any.whl") else own
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                first, _, rest = name.partition("/")
                if name.endswith("/"):
                    continue
                if not first.endswith(".data"):
                    _write(place / name, archive.read(name))
                elif rest.startswith("data/"):
                    _write(data / rest.removeprefix("data/"), archive.read(name))


def _launcher(module: str) -> bytes:
    return _LAUNCHER.format(python=_PYTHON, private=PRIVATE, module=module).encode()


def _put_commands(root: Path) -> None:
    """`spanbridge` for all, and beside the Python what it looks for there itself: both start it isolated."""
    private = root / PRIVATE
    _write(private / "pyvenv.cfg", _PYVENV.encode())
    (private / "bin").mkdir()
    (private / "bin" / "python3").symlink_to("/usr/bin/python3")
    _write(root / "usr/bin/spanbridge", _launcher("__main__"), 0o755)
    _write(private / "bin/spanbridge-askpass", _launcher("askpass"), 0o755)
    (private / "bin" / "spanbridge").symlink_to("../../../bin/spanbridge")


def _put_data(root: Path, share: Path, licenses: dict[str, str]) -> None:
    for path in sorted((share / "man").rglob("*.?")):
        _write(root / "usr/share/man" / path.parent.name / f"{path.name}.gz", _compressed(path))
    for source, target in (
        ("bash-completion/completions/spanbridge", "bash-completion/completions/spanbridge"),
        ("zsh/site-functions/_spanbridge", "zsh/vendor-completions/_spanbridge"),
        ("fish/vendor_completions.d/spanbridge.fish", "fish/vendor_completions.d/spanbridge.fish"),
    ):
        _write(root / "usr/share" / target, (share / source).read_bytes())
    unit = HERE / "spanbridge-extensions.service"
    _write(root / "usr/lib/systemd/user" / unit.name, unit.read_bytes())
    documents = root / "usr/share/doc/spanbridge"
    _write(documents / "changelog.gz", _compressed(TOP / "CHANGELOG.md"))
    texts = [f"spanbridge\n\n{(TOP / 'LICENSE').read_text()}"]
    texts += [f"In /{PRIVATE}/lib: {title}\n\n{text}" for title, text in sorted(licenses.items())]
    _write(documents / "copyright", f"\n{'=' * 78}\n\n".join(texts).encode())


def _put_control(root: Path, version: str, architecture: str) -> None:
    files = [path for path in _all(root) if path.is_file() and not path.is_symlink()]
    sizes = sum(-(-path.stat().st_size // 1024) for path in files)
    sums = [
        f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {path.relative_to(root)}\n"
        for path in files
    ]
    text = (HERE / "control").read_text()
    for name, value in (("VERSION", version), ("ARCHITECTURE", architecture), ("INSTALLED_SIZE", str(sizes))):
        text = text.replace(f"@{name}@", value)
    control = root / "DEBIAN"
    _write(control / "control", text.encode())
    _write(control / "md5sums", "".join(sums).encode())
    _write(control / "triggers", (HERE / "triggers").read_bytes())
    for name in ("postinst", "prerm", "postrm"):
        _write(control / name, (HERE / name).read_bytes(), 0o755)


def _settle(root: Path, epoch: int) -> None:
    """Modes and times that say nothing of where and when it was built."""
    for path in (*_all(root), root):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def _all(root: Path) -> Iterator[Path]:
    return iter(sorted(root.rglob("*")))


def _compressed(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), 9, mtime=0)


def _write(path: Path, data: bytes, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)


if __name__ == "__main__":
    main()
