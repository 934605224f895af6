"""Runs on another machine, in a bare Python, before anything of ours is there: its text is sent (packing.py).

All goes into memory files: modules as an archive that Python imports from, compiled ones each in a file, our askpass
program in one that sudo can start. Nothing is written to disk.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import marshal
import os
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NoReturn


class _Compiled(importlib.abc.MetaPathFinder):
    """Finds compiled modules in memory files. `paths`: by name."""

    def __init__(self, paths: Mapping[str, str]) -> None:
        self._paths = paths

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in self._paths:
            return None
        place = self._paths[name]
        loader = importlib.machinery.ExtensionFileLoader(name, place)
        return importlib.util.spec_from_file_location(name, place, loader=loader)


def run(size: int, nothing_fits: int) -> NoReturn:
    """Read an archive of `size` bytes from stdin, and be the bridge. Exits with `nothing_fits` where that cannot be."""
    try:
        modules, compiled, askpass = marshal.loads(zlib.decompress(_read(size)))  # noqa: S302 - it comes from whoever runs us
        sys.path.insert(0, _memory("spanbridge", modules))
        sys.meta_path.insert(0, _Compiled({name: _memory(name, data) for name, data in compiled.items()}))
        sys.argv = ["spanbridge"]
        main = _bridge(askpass)
    except (ImportError, OSError, ValueError, EOFError) as error:
        sys.stderr.write(f"spanbridge cannot be run here: {error}\n")
        sys.exit(nothing_fits)
    sys.exit(main())


def _bridge(askpass: bytes) -> Callable[[], int]:
    """By name: what came is another copy of this program than the one that has sent it."""
    command = importlib.import_module("spanbridge.__main__")
    importlib.import_module("spanbridge.stand_ins").import_msgspec()
    importlib.import_module("spanbridge.catalog")  # imports what is compiled, which may not fit
    installed: Any = importlib.import_module("spanbridge.installed")
    start = f"#!{sys.executable} -I\n".encode()
    end = b"\nif __name__ == '__main__':\n    sys.exit(main())\n"
    installed.sent_askpass = _memory("spanbridge-askpass", start + askpass + end, str(os.getpid()))
    main: Callable[[], int] = command.main
    return main


def _memory(name: str, data: bytes, process: str = "self") -> str:
    """The path of a new file that is in memory alone."""
    fd = os.memfd_create(name)
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]
    return f"/proc/{process}/fd/{fd}"


def _read(size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = os.read(0, size - len(data))
        if not piece:
            raise EOFError("the connection has ended")
        data += piece
    return bytes(data)
