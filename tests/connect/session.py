"""The services of a session without a process around it, on an event loop whose poller works."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel

from spanbridge.limits import Limits
from spanbridge.log import Log
from spanbridge.manifests.model import Catalog
from spanbridge.payloads.base import Services
from spanbridge.wire.children import Children
from spanbridge.wire.context import Context
from spanbridge.wire.flusher import Flusher
from spanbridge.wire.front import Front
from spanbridge.wire.pipe_budget import PipeBudget
from spanbridge.wire.poller import Poller
from spanbridge.wire.watchdog import Watchdog


def nobodys_front(context: Context) -> Front:
    """A front end that says nothing and hears nothing."""
    descriptors = [os.open(os.devnull, os.O_RDWR) for _ in range(2)]
    return Front(context, *descriptors, on_chunk=lambda _: None, on_end=lambda _: None, on_broken=lambda _: None)


def in_session(test: Callable[[Services], Awaitable[None]], **limits: Any) -> None:
    """Run `test` with the services of a session that has these limits."""
    poller = Poller()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        of_session, log = Limits(**limits), Log()
        budget = PipeBudget(of_session.large_pipes, of_session.pipe_bytes)
        context = Context(loop, poller, Flusher(loop), budget, of_session, log, Watchdog(print), Children(loop))
        async with anyio.create_task_group() as tasks:
            services = Services(
                context,
                nobodys_front(context),
                tasks,
                {},
                catalog=Catalog,
                reload=lambda: None,
                front_drained=anyio.lowlevel.checkpoint,
                end_session=lambda why: None,
            )
            await test(services)
            tasks.cancel_scope.cancel()

    anyio.run(main, backend_options={"loop_factory": lambda: asyncio.SelectorEventLoop(poller)})
