"""Where the figures come from: machine, kernel, versions, commit."""

import os
import platform
import subprocess
from pathlib import Path

PIPE_LIMITS = ("pipe-max-size", "pipe-user-pages-soft", "pipe-user-pages-hard")


def describe() -> dict[str, str | int]:
    """What one has to know to judge the figures or to get them again."""
    return {
        "cpu": _cpu_model(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory-mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "cc": _first_line("cc", "--version"),
        "cockpit-bridge": _first_line("cockpit-bridge", "--version"),
        "commit": _commit(),
        "uid": os.getuid(),
        **{limit: int(Path("/proc/sys/fs", limit).read_text()) for limit in PIPE_LIMITS},
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or "unknown"


def _first_line(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "none"
    return (done.stdout.strip().splitlines() or ["unknown"])[0]


def _commit() -> str:
    here = str(Path(__file__).parent)
    commit = _first_line("git", "-C", here, "rev-parse", "--short=12", "HEAD")
    changed = _first_line("git", "-C", here, "status", "--porcelain", "--untracked-files=no")
    return commit if changed == "unknown" else f"{commit}, with changes"
