"""Telling the front end what threads find, message by message."""

from collections.abc import Generator

from .asked import Asked
from .shared import end_later
from .steps import Steps


async def tell(asked: Asked, changes: Generator[bytes, None, None]) -> None:
    """Each message when the front end takes it, and no more of them made before."""
    steps = Steps(changes)
    try:
        while (message := await asked.jobs.run(steps.next)) is not None:
            await asked.send_units([message])
    except BaseException:
        end_later(asked.services, steps.shared)
        raise
