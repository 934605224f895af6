"""`python -m tests.fuzz [--seconds 600] [--target NAME]...`: needs the extra `fuzz`."""

import argparse
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import accumulate, compress
from pathlib import Path
from typing import Final

from .inputs import MOST_BYTES, inputs, unpack
from .inputs import keep as keep_inputs
from .minimal import minimal
from .targets import TARGETS

LONGEST_INPUT: Final = 4_096  # bytes
_DICTIONARIES: Final = Path(__file__).with_name("dictionaries")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz what reads bytes from others.")
    parser.add_argument("--seconds", type=float, default=600.0, help="for all targets together (600)")
    parser.add_argument("--target", action="append", choices=[*TARGETS], help="only this one; may be given again")
    parser.add_argument("--keep", action="store_true", help="keep in tests/fuzz/corpus/*.txt what reaches anything new")
    given = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        print("fuzz: atheris is not installed; it is the extra `fuzz`: pip install -e '.[fuzz]'", file=sys.stderr)
        return 2
    names = given.target or [*TARGETS]
    statuses = [fuzz(name, given.seconds / len(names), keep=given.keep) for name in names]
    return int(any(statuses))


def fuzz(name: str, seconds: float, *, keep: bool) -> int:
    """Run one target; 0 unless it found something, which then lies in the working directory as a file."""
    with tempfile.TemporaryDirectory(prefix="spanbridge-fuzz-") as scratch:
        print(f"fuzz: {name}, {seconds:g} s, {len(inputs(name))} inputs to begin with", flush=True)
        unpack(name, Path(scratch))
        status = _explore(name, [scratch], seconds)
        print(f"fuzz: {name}: {'nothing wrong' if status == 0 else 'found something'}", flush=True)
        if keep and status == 0:
            _keep(name, Path(scratch))
    return status


def _explore(name: str, directories: Sequence[str], seconds: float) -> int:
    arguments = [
        f"-max_total_time={int(seconds)}",
        f"-max_len={LONGEST_INPUT}",
        f"-dict={_DICTIONARIES / name}.txt",
        "-timeout=20",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
        f"-artifact_prefix=fuzz-{name}-",
    ]
    return _run(name, arguments, directories)


def _keep(name: str, scratch: Path) -> None:
    """Of old and new inputs, those that reach what no smaller one does, as far as there is room."""
    room = MOST_BYTES // len(TARGETS)
    kept = minimal(TARGETS[name], [*inputs(name), *(path.read_bytes() for path in scratch.iterdir())])
    fitting = [size <= room for size in accumulate(map(len, kept))]
    keep_inputs(name, compress(kept, fitting))
    print(f"fuzz: {name}: {len(inputs(name))} inputs kept", flush=True)


def _run(name: str, arguments: Sequence[str], directories: Sequence[str]) -> int:
    command = [sys.executable, "-m", "tests.fuzz.explore", name, *arguments, *directories]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
