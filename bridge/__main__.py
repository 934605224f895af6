"""`spanbridge`, which is also `python -m spanbridge`: the command line, imported so that it can be interrupted."""

import signal
import sys


def main() -> int:
    """Run the command that the arguments name; the exit status."""
    # Ctrl-C while Python still imports is to end us without a traceback. Whoever started us may have it ignored.
    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if interruptible:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from . import cli

    if interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
