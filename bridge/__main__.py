"""`spanbridge`, which is also `python -m spanbridge`: the command line, imported so that it can be interrupted."""

import _signal as signal  # type: ignore[import-not-found]  # `signal` makes enumerations of all its names: 2 ms
import gc
import os
import sys


def main() -> int:
    """Run the command that the arguments name; the exit status."""
    _name_process(os.path.basename(sys.argv[0]))
    gc.disable()  # what is imported stays, and is a lot to look through; whatever takes longer enables it again
    # Ctrl-C while Python still imports is to end us without a traceback. Whoever started us may have it ignored.
    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if interruptible:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .stand_ins import import_msgspec

    import_msgspec()
    from . import cli

    if interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return cli.main()


def _name_process(name: str) -> None:
    """Have `ps` and `pgrep` call this process by the command that was started, not `python`."""
    try:
        with open("/proc/self/comm", "wb", buffering=0) as comm:
            comm.write(os.fsencode("spanbridge" if name == "__main__.py" else name))
    except OSError:
        pass


if __name__ == "__main__":
    sys.exit(main())
