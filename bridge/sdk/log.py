"""What a helper says on stderr: the bridge has it in its log, line by line, with the helper's name in front."""

import os
import sys

DEBUG_VARIABLE = "SPANBRIDGE_DEBUG"
"""Where it is set, tracebacks are told too."""


def log(text: str) -> None:
    """One line."""
    line = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    try:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):  # there is no stderr, or nobody reads it
        return


def log_error(error: BaseException) -> None:
    """The traceback, for those who have asked for it."""
    if os.environ.get(DEBUG_VARIABLE):
        import traceback

        for line in "".join(traceback.format_exception(error)).splitlines():
            log(line)
