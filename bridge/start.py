"""From the first instruction to the running session.

`init` goes out before the event loop and all that hangs on it are imported: the front end has it tens of
milliseconds earlier, and answers while the rest of the start goes on.
"""

import _signal as signal  # type: ignore[import-not-found]  # __main__.py
import gc
import os
import stat
from collections.abc import Callable, Mapping
from typing import Final, NoReturn

from spanbridge.manifests.model import Catalog
from spanbridge.protocol.control import VERSION, control
from spanbridge.protocol.problems import INTERNAL_ERROR

from .catalog import load, tell_defects, with_own_rules
from .installed import depth_of
from .limits import Limits
from .log import Log, journal_on_stderr
from .os_release import read_os_release
from .stdout import write

_COERCED: Final = ("C.UTF-8", "C.utf8", "UTF-8")
_ENDS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_LONGEST_MS: Final = 2**31 - 1  # that poll(2) takes
_IGNORED_BY_PYTHON: Final = (signal.SIGPIPE, signal.SIGXFSZ)  # and given back to what is started


def run(limits: Limits, debug: frozenset[str], *, privileged: bool = False) -> int:
    """Serve the front end on descriptors 0 and 1; the exit status.

    `privileged`: the front end is another bridge, and this one has privileges for it, and no packages of its own.
    """
    _forget_own_locale()
    environ = dict(os.environ)
    log = Log(debug=debug, journal=journal_on_stderr(environ))
    early: set[int] = set()  # a wish to reload that comes before the session can act on it
    _heed_signals(early)
    if os.getpid() == 1:
        from .first_process import step_behind

        step_behind()
    depth = depth_of(environ)
    if depth >= limits.max_depth:
        rule = environ.get("SPANBRIDGE_RULE", "a rule")
        message = (
            f"{depth} bridges have started one another, the limit (max_depth) is {limits.max_depth}: the rule {rule}"
            " starts a bridge that reads the same manifests; see what it matches"
        )
        log.error("limit", name="max_depth", value=limits.max_depth, rule=rule)
        write(control("init", version=VERSION, problem=INTERNAL_ERROR, message=message))
        return 1
    if privileged and stat.S_ISSOCK(os.fstat(0).st_mode) and not take_stderr(limits.stderr_seconds, log):
        return 0

    def read_catalog() -> Catalog:
        return with_own_rules(Catalog() if privileged else load(environ, limits.manifest_bytes))

    catalog = read_catalog()
    greeting = control(
        "init",
        version=VERSION,
        packages={package.name: None for package in catalog.packages},
        os_release=read_os_release(),
        capabilities={"explicit-superuser": True},
    )
    try:
        write(greeting)
    except OSError as error:
        log.info("session-ends", why=f"stdout: {error.strerror}")
        return 0
    gc.enable()  # __main__.py
    _heed_ignored_signals()
    tell_defects(log, catalog)
    root = privileged or os.geteuid() == 0
    return _serve(catalog, read_catalog, limits, log, environ, depth, root, early, status=not privileged)


def _forget_own_locale() -> None:
    """Python adds LC_CTYPE where it finds no locale (PEP 538); what is started here gets what we were started with."""
    if os.environ.get("LC_CTYPE") in _COERCED:
        try:
            with open("/proc/self/environ", "rb") as given:
                added = b"\0LC_CTYPE=" not in b"\0" + given.read()
        except OSError:  # no /proc: it may have been given to us
            return
        if added:
            del os.environ["LC_CTYPE"]


def _heed_signals(early: set[int]) -> None:
    """Whatever we were started with: they may be ignored, or blocked."""
    for number in _ENDS:
        signal.signal(number, _end_at_once)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would cost exit statuses
    signal.signal(signal.SIGUSR1, lambda number, frame: early.add(number))
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _heed_ignored_signals() -> None:
    """Ignored, one would be so for all that is started here; a handler of ours ends with exec."""
    for number in signal.valid_signals():
        if number not in _IGNORED_BY_PYTHON and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda number, frame: None)


def take_stderr(seconds: float, log: Log) -> bool:
    """Ask the bridge on the socket 0 for its stderr, and make it ours (docs/superuser.md, "Passwords").

    Until then our stderr leads to whoever waits for the start. Without an answer in time it stays; False: the bridge
    has gone.
    """
    import select
    import socket

    write(control("send-stderr"))
    with socket.socket(fileno=os.dup(0)) as sock:
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        if not poll.poll(min(seconds * 1000, _LONGEST_MS)):
            log.limit("stderr_seconds", seconds)
            return True
        try:
            data, fds, _, _ = socket.recv_fds(sock, 1, 1)
        except ConnectionResetError:  # it has gone without having read all that we said
            return False
    for fd in fds:
        os.dup2(fd, 2)
        os.close(fd)
    return bool(data)


def _serve(
    catalog: Catalog,
    read_catalog: Callable[[], Catalog],
    limits: Limits,
    log: Log,
    environ: Mapping[str, str],
    depth: int,
    root: bool,
    early: set[int],
    status: bool,
) -> int:
    from .stand_ins import import_event_loop

    import_event_loop()
    import asyncio

    import anyio

    from .session.session import Session
    from .wire.descriptor_limit import raise_limit
    from .wire.own import own_descriptor
    from .wire.poller import Poller

    raise_limit()
    poller = Poller()
    blocking = [(fd, os.get_blocking(fd)) for fd in (0, 1)]

    async def main() -> int:
        session = Session(
            load=read_catalog,
            limits=limits,
            log=log,
            environ=environ,
            depth=depth,
            root=root,
            user=_user(),
            status=status,
            reload_first=lambda: bool(early),
            # Nobody heeds signals between here and the exit: one more must not change the status.
            at_the_end=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, (*_ENDS, signal.SIGUSR1)),
        )
        # The session closes what it is given; descriptors 0 and 1 stay, so that nothing else gets their numbers.
        descriptors = [own_descriptor(fd) for fd in (0, 1)]
        return await session.run(catalog, poller, *descriptors)

    try:
        return anyio.run(main, backend_options={"loop_factory": lambda: asyncio.SelectorEventLoop(poller)})
    except Exception as error:  # noqa: BLE001 - a mistake of ours; a user gets a line, not a traceback
        log.unforeseen("the session", error)
        return 1
    finally:
        for fd, was in blocking:
            os.set_blocking(fd, was)  # the mode belongs to the open file, which others may share


def _end_at_once(number: int, frame: object) -> NoReturn:
    """Nothing was started yet that would have to be ended."""
    os._exit(0)


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # an id without a name
        return str(os.getuid())
