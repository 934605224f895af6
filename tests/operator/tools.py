"""What the tools say of themselves, for comparing with what is written of them elsewhere."""

import re
import subprocess
from functools import cache

from spanbridge.cli import TOOLS
from spanbridge.testing.bridge import SPANBRIDGE
from spanbridge.testing.deadline import SECONDS

NAMES = tuple(TOOLS)


@cache
def help_of(*arguments: str) -> str:
    """What `spanbridge ARGUMENTS --help` prints."""
    environ = {"PATH": "/usr/bin:/bin", "COLUMNS": "200", "LANG": "C.UTF-8"}
    command = [str(SPANBRIDGE), *arguments, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=SECONDS, check=False)
    assert (done.returncode, done.stderr) == (0, ""), f"{' '.join(arguments)} --help: {done.stderr}"
    return done.stdout


@cache
def options_of(tool: str = "") -> frozenset[str]:
    """The options that its --help lists, without --help itself."""
    found: set[str] = set()
    for line in help_of(*filter(None, [tool])).splitlines():
        if re.match(r" {2}-", line):
            left = re.split(r" {2,}", line.strip())[0]
            found.update(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", left))
    return frozenset(found - {"-h", "--help"})
