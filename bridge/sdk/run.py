"""A whole helper, from its handler: `sys.exit(run(handler))`."""

import contextlib
import os
import sys
from collections.abc import Awaitable, Callable

import anyio

from spanbridge.protocol.control import VERSION, control

from .aside import sink
from .errors import ProtocolError
from .helper import Handler, open_helper
from .limits import HelperLimits
from .log import log, log_error

_ON_A_TERMINAL = """\
{name} is a helper: it speaks frames on stdin and stdout with the bridge that starts it.
To try it, write a rule for it and open a channel: spanbridge open PAYLOAD"""


def run(handler: Handler, *, limits: HelperLimits | None = None) -> int:
    """Serve each channel with `handler` until stdin ends, or SIGTERM comes; the exit status.

    0 where all went well, 1 where what came was not the protocol, 2 where there is no bridge at all.
    """

    async def main() -> None:
        async with open_helper(limits=limits) as helper:
            await helper.serve(handler)

    return run_main(main)


def run_main(main: Callable[[], Awaitable[int | None]]) -> int:
    """The same for a `main` of one's own, with `open_helper` in it. It may return the exit status."""
    if os.isatty(0):
        for line in _ON_A_TERMINAL.format(name=os.path.basename(sys.argv[0])).splitlines():
            log(line)
        return 2
    try:
        return anyio.run(main) or 0
    except ProtocolError as error:
        log(f"protocol error: {error}")
    except KeyboardInterrupt:  # before anybody watched for it
        return 1
    except Exception as error:  # noqa: BLE001 - whoever reads the log is to have one line of it
        log(f"{type(error).__name__}: {error}")
        log_error(error)
    return 1


def refuse(problem: str, message: str, **members: object) -> int:
    """Instead of `run`: tell the bridge why this helper cannot serve anybody; the exit status, 1.

    The channels that wait for it are closed with these.
    """
    with contextlib.suppress(OSError):  # nobody is there to be told
        os.write(sink(), control("init", version=VERSION, problem=problem, message=message, **members))
    return 1
