"""What a helper says on stderr: the bridge has it in its log, line by line, with the helper's name in front."""

import os
import sys

DEBUG_VARIABLE = "SPANBRIDGE_DEBUG"
"""Where it is set, tracebacks are told too."""


LONGEST = 2_000
"""Characters of a line; the rest of a longer one is left out."""


def log(text: str) -> None:
    """One line, whatever is in `text`."""
    line = "".join(char if char.isprintable() else repr(char)[1:-1] for char in shortened(text))
    try:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):  # there is no stderr, or nobody reads it
        return


def shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def log_error(error: BaseException) -> None:
    """The traceback, for those who have asked for it."""
    if os.environ.get(DEBUG_VARIABLE):
        import traceback

        for line in "".join(traceback.format_exception(error)).splitlines():
            log(line)
