"""The process of an extension in Python: locked in, loaded, and then at the host's service."""

import importlib.util
import inspect
import os
import socket
import sys
import threading
import traceback
from collections.abc import Awaitable
from types import ModuleType
from typing import Any, Final

from ..inner.messages import Failed, Ready
from ..sandbox import restrict
from .calls import Calls, HostGone
from .own_loop import OwnLoop
from .router import Router
from .serve import Server
from .services import Services
from .serving import Sender
from .task import CALLS_FD, MAIN_FD, Task

_WHY_CHARS: Final = 2_000


class _Unfit(Exception):
    """The module is not what it must be."""


def run(task: Task, loop: OwnLoop) -> int:
    """Serve until the host ends, with its sockets at descriptors 3 and 4."""
    main = socket.socket(fileno=MAIN_FD)
    send = Sender(main)
    call = Calls(socket.socket(fileno=CALLS_FD), task.message_bytes)
    sys.unraisablehook = lambda unraisable: None if _host_gone(unraisable.exc_value) else _told(unraisable)
    try:
        restrict(task.cage)
    except OSError as error:
        send(Failed(f"the sandbox: {error}"))
        return 1
    sys.dont_write_bytecode = True
    try:
        _serve(task, loop, main, send, call)
    except HostGone:
        return 0
    return 0


def _host_gone(error: BaseException | None) -> bool:
    return isinstance(error, HostGone)


def _told(unraisable: Any) -> None:
    sys.__unraisablehook__(unraisable)


def _serve(task: Task, loop: OwnLoop, main: socket.socket, send: Sender, call: Calls) -> None:
    router = Router()
    services = Services(call, task.cage.files)
    server = Server(main, send, router, task.message_bytes * 2)
    loop.watch()
    try:
        module = _load(task)
        result = _entry(module, "init")(router, services)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is theirs
        loop.leave()
        _failed(send, error)
        return
    loop.leave()
    if inspect.isawaitable(result):
        loop.run(_begin(result, task, send, server))
        return
    send(Ready(task.name, task.version))
    if loop.wanted or server.run_alone():
        loop.run(server.run())


async def _begin(result: Awaitable[Any], task: Task, send: Sender, server: Server) -> None:
    """Where `init` is a coroutine."""
    try:
        await result
    except BaseException as error:  # noqa: BLE001 - as above
        _failed(send, error)
        return
    send(Ready(task.name, task.version))
    await server.run()


def _failed(send: Sender, error: BaseException) -> None:
    """Tell the host why it cannot start. Raises HostGone where there is none."""
    if isinstance(error, HostGone):
        raise error
    if isinstance(error, _Unfit):
        send(Failed(str(error)))
        return
    traceback.print_exception(error, file=sys.stderr)
    send(Failed(_text(error)))


def _text(error: BaseException) -> str:
    """As a message can hold it."""
    try:
        told = f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - it is theirs, too
        told = f"{type(error).__name__}, which has no text"
    return told[:_WHY_CHARS].encode(errors="backslashreplace").decode()


def _load(task: Task) -> ModuleType:
    """The module, run. Raises _Unfit, and whatever it raises."""
    directory = os.path.dirname(task.main)
    sys.path[:0] = [directory, os.path.join(task.cage.directory, "vendor")]
    spec = importlib.util.spec_from_file_location("extension_main", task.main)
    if spec is None or spec.loader is None:
        raise _Unfit(f"{task.main}: cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    for member, expected in (("name", task.name), ("version", task.version)):
        found = getattr(module, member, None)
        if found != expected:
            raise _Unfit(f"{task.main}: {member}: found {found!r}, expected {expected!r} as in package.json")
    return module


def _entry(module: ModuleType, name: str) -> Any:
    function = getattr(module, name, None)
    if not callable(function):
        raise _Unfit(f"{module.__file__}: {name}: expected a function (router, services)")
    return function


def leave(status: int) -> None:
    """End at once: threads of the extension hold nothing up."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status if threading.current_thread() is threading.main_thread() else 1)
