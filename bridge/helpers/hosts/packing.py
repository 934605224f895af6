"""Packs this program for a Python elsewhere that is like the one here: writes into a file what that one is to read.

    python -m spanbridge.helpers.hosts.packing FILE

First one line of Python, then the text of far_loader.py, then an archive of compiled modules. A process of its own: it
takes some tenths of a second that the session does not have.
"""

import importlib.machinery
import importlib.util
import io
import marshal
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from . import far_loader
from .remote_command import NOTHING_FITS

_PACKAGES: Final = (
    *("spanbridge", "anyio", "h11", "idna", "inotify_simple", "msgspec", "sniffio", "typing_extensions", "websockets"),
)
# Tools and tests, which nobody asks for over there, and the other event loop.
_LEFT_OUT: Final = ("spanbridge.testing", "spanbridge.operator", "anyio._backends._trio", "anyio.pytest_plugin")
_COMPILED: Final = ("msgspec._core",)
"""What has no equal in Python."""

# Reads the next %d bytes of stdin, and not one more, and runs them.
_FIRST: Final = """\
import os
text = bytearray()
while len(text) < %d:
    piece = os.read(0, %d - len(text))
    if not piece:
        raise SystemExit(%d)
    text += piece
exec(text)
"""


def main() -> int:
    """Write it all, or no file."""
    path = Path(sys.argv[1])
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(packed())
    part.chmod(0o600)  # a umask may have taken it from ourselves
    part.rename(path)
    return 0


def packed() -> bytes:
    """The whole stream."""
    compiled = {name: _read(_origin(name)) for name in _COMPILED}
    askpass = _read(_origin("spanbridge.askpass"))
    archive = zlib.compress(marshal.dumps((_zipped(), compiled, askpass)))
    loader = f"{_read(_origin(far_loader.__name__)).decode()}\nrun({len(archive)}, {NOTHING_FITS})\n".encode()
    first = _FIRST % (len(loader), len(loader), NOTHING_FITS)
    return f"exec({first!r})\n".encode() + loader + archive


def _zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        for package in _PACKAGES:
            spec = importlib.util.find_spec(package)
            if spec is not None and spec.origin is not None:
                for name, path in _modules(package, Path(spec.origin)):
                    file.writestr(name, _byte_code(path, name))
    return buffer.getvalue()


def _modules(package: str, origin: Path) -> Iterator[tuple[str, Path]]:
    """Where each module is to be in the archive, and its source."""
    if origin.name != "__init__.py":
        yield f"{package}.pyc", origin
        return
    for path in _sources(origin.parent):
        inner = path.relative_to(origin.parent).with_suffix("")
        name = ".".join((package, *inner.parts))
        if not any(name == left or name.startswith(f"{left}.") for left in _LEFT_OUT):
            yield f"{package}/{inner}.pyc", path


def _sources(directory: Path) -> Iterator[Path]:
    """Links to directories are followed, as an editable install of this project needs it."""
    for path in sorted(directory.iterdir()):
        if path.is_dir() and path.name != "__pycache__":
            yield from _sources(path)
        elif path.suffix == ".py":
            yield path


def _byte_code(path: Path, name: str) -> bytes:
    """A .pyc that is not compared with a source: of what Python keeps beside that if it can be used, else compiled."""
    kept = _kept(path)
    if kept is None:
        code = compile(path.read_bytes(), name.replace(".pyc", ".py"), "exec", dont_inherit=True, optimize=0)
        kept = marshal.dumps(code)
    return importlib.util.MAGIC_NUMBER + bytes(12) + kept


def _kept(path: Path) -> bytes | None:
    source = path.stat()
    begin = importlib.util.MAGIC_NUMBER + bytes(4)  # compared by time and size, as is the rule
    begin += (int(source.st_mtime) & 0xFFFFFFFF).to_bytes(4, "little") + (source.st_size & 0xFFFFFFFF).to_bytes(
        4, "little"
    )
    try:
        data = Path(importlib.util.cache_from_source(str(path), optimization="")).read_bytes()
    except OSError:
        return None
    return data[len(begin) :] if data.startswith(begin) else None


def _origin(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ImportError(f"{name} is not installed")
    return Path(spec.origin)


def _read(path: Path) -> bytes:
    return path.read_bytes()


if __name__ == "__main__":
    sys.exit(main())
