"""What a test needs may be missing on somebody's machine; never where all tests have to run."""

import os
import re
from collections.abc import Iterable
from typing import NoReturn

import pytest

_PACKAGE = re.compile(r"Debian packages? ([a-z0-9][a-z0-9+.-]+(?:[, ]+[a-z0-9][a-z0-9+.-]+)*)\)")


def lack(reason: str, *packages: str) -> NoReturn:
    """Skip the test, since this machine cannot run it; fail it with SPANBRIDGE_TESTS_REQUIRE_ALL=1, which CI sets.

    packages: what to install for it, on Debian.
    """
    if packages:
        reason += f" (Debian package{'s' * (len(packages) > 1)} {' '.join(packages)})"
    if os.environ.get("SPANBRIDGE_TESTS_REQUIRE_ALL") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def what_would_run_all(reasons: Iterable[str]) -> str:
    """A line on what to do for the tests that were skipped for these reasons to run; empty if none was skipped."""
    reasons = list(reasons)
    packages = {name for reason in reasons for found in _PACKAGE.findall(reason) for name in re.split("[, ]+", found)}
    needs = []
    if packages:
        needs.append(f"apt-get install {' '.join(sorted(packages))}")
    if any("uid 0" in reason or "root" in reason for reason in reasons):
        needs.append("run as root")
    if not reasons:
        return ""
    return f"{len(reasons)} skipped; to run all tests: {', and '.join(needs) or '.ci/run'} (.ci/run does it on Debian)"
