"""A clock that is set back."""

import asyncio
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import Mock, patch

from spanbridge.extensions.services.deliveries import Deliveries, Delivery
from spanbridge.extensions.services.outcome import Outcome
from spanbridge.limits import Limits

from .site import WAIT_SECONDS


def test_a_delivery_does_not_wait_until_a_wrong_clock_is_right(tmp_path: Path) -> None:
    async def run() -> None:
        deliveries = Deliveries(str(tmp_path), Limits(), Mock())
        sent = asyncio.Event()

        async def send(delivery: Delivery, receiver: Mapping[str, Any]) -> Outcome:
            sent.set()
            return Outcome(204)

        def put(db: sqlite3.Connection) -> int:
            db.execute("INSERT INTO endpoints VALUES ('one', 'url', '[]', 'secret')")
            return deliveries.put(db, "webhook", ["one"], "type", b"", {})

        deliveries.send_with("webhook", "endpoints", send)
        with patch("time.time", return_value=time.time() + 30 * 86_400):
            await asyncio.wrap_future(deliveries.keeper.do(put))
        running = asyncio.create_task(deliveries.run())
        await asyncio.wait_for(sent.wait(), WAIT_SECONDS)
        running.cancel()
        await asyncio.wait([running])
        deliveries.close()

    asyncio.run(run())
