"""What a test needs may be missing on somebody's machine; never where all tests have to run."""

import os
from typing import NoReturn

import pytest


def lack(reason: str) -> NoReturn:
    """Skip the test, since this machine cannot run it; fail it with SPANBRIDGE_TESTS_REQUIRE_ALL=1, which CI sets."""
    if os.environ.get("SPANBRIDGE_TESTS_REQUIRE_ALL") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
