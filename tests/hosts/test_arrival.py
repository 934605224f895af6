"""A helper that has a way comes up (bridge/helpers/arrival.py), or ends while it does."""

import asyncio
from unittest.mock import Mock

from spanbridge.helpers.arrival import Arrival
from spanbridge.helpers.life import ENDING, STARTING
from spanbridge.helpers.way import Command


def test_one_that_ends_in_the_turn_in_which_it_may_start_is_not_started() -> None:
    """Its way has been told already that it takes nothing more, before there was anything to let go of."""

    async def come_up() -> tuple[Mock, Mock]:
        may_start = asyncio.Event()
        way, helper = Mock(), Mock(state=STARTING)

        async def prepare() -> Command:
            await may_start.wait()
            return Command(["ssh"], {})

        way.prepare = prepare
        helper.start.return_value = None
        coming = asyncio.ensure_future(Arrival(way, helper, Mock()).come_up())
        await asyncio.sleep(0)
        may_start.set()
        helper.state = ENDING
        await coming
        return way, helper

    way, helper = asyncio.run(come_up())
    helper.start.assert_not_called()
    way.over.assert_called_once_with()
