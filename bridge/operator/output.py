"""Printing that cannot fail over a character: a file name need not be UTF-8, nor the terminal."""

import json
import sys
from typing import Any

import msgspec


def print_json(value: Any) -> None:
    """Structs and all that JSON has, on stdout; in ASCII, so that no file name is beyond it."""
    print(json.dumps(msgspec.to_builtins(value), indent=2))


def tolerate_any_character() -> None:
    """Have stdout and stderr escape what the locale's encoding lacks, where they would raise."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # not there where somebody has put another stream in place
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
