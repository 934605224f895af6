"""Webhooks, as Standard Webhooks have them (https://www.standardwebhooks.com)."""

import asyncio
import base64
import hashlib
import hmac
import json
import re
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar

import msgspec

from .addresses import Allowed, Refused, known_or_refused, target_of
from .attempt import attempt
from .deliveries import Deliveries, Delivery, shown
from .moment import iso
from .outcome import Outcome

T = TypeVar("T")

KIND: Final = "webhook"
EVENT: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_SECRET: Final = "whsec_"  # noqa: S105 - how one begins
_SECRET_BYTES: Final = range(24, 65)
_BODY_BYTES: Final = 256 << 10


class Endpoint(msgspec.Struct, frozen=True):
    """What the user sets up. `events`: of which types, with a trailing `*` as a wildcard."""

    url: str
    events: tuple[str, ...] = ("*",)
    secret: str | None = None


class Webhooks:
    """Fires, and knows where to."""

    def __init__(self, deliveries: Deliveries, allowed: Allowed, seconds: float) -> None:
        """`seconds`: how long one attempt may take."""
        self._deliveries = deliveries
        self._allowed = allowed
        self._seconds = seconds
        deliveries.send_with(KIND, "endpoints", self._send)

    def fire(self, extension: str, event: str, data: Any, origin: str | None = None) -> int:
        """To how many endpoints; on disk when it returns. From the thread of a desk. Raises ValueError, TooMany."""
        type_ = f"{extension}.{event}"
        if not EVENT.fullmatch(event):
            raise ValueError(f"webhooks.fire: the event {event!r}, expected {EVENT.pattern}")
        try:
            body = msgspec.json.encode({"type": type_, "timestamp": iso(), "data": data})
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise ValueError(f"webhooks.fire: {error}") from None
        if len(body) > _BODY_BYTES:
            raise ValueError(f"webhooks.fire: over {_BODY_BYTES} bytes")

        def put(db: sqlite3.Connection) -> int:
            targets = [ident for ident, events in self._endpoints(db) if any(_fits(type_, each) for each in events)]
            return self._deliveries.put(db, KIND, targets, type_, body, {}, origin)

        return self._deliveries.keeper.do(put).result()

    def _endpoints(self, db: sqlite3.Connection) -> Iterator[tuple[str, list[str]]]:
        """But for those that somebody else has written, and are none: the others must not miss anything for them."""
        for ident, events in db.execute("SELECT id, events FROM endpoints").fetchall():
            try:
                yield msgspec.convert(ident, str), _events(events)
            except (TypeError, ValueError, RecursionError) as error:
                what = f"{self._deliveries.keeper.path}: endpoint {shown(ident)}: {error}"
                self._deliveries.log.error("webhooks", what=what)

    async def _send(self, delivery: Delivery, endpoint: Mapping[str, Any]) -> Outcome:
        stamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "spanbridge",
            "webhook-id": delivery.id,
            "webhook-timestamp": stamp,
            "webhook-signature": signature(endpoint["secret"], delivery.id, stamp, delivery.body),
        }
        return await attempt(target_of(endpoint["url"]), headers, delivery.body, self._allowed, self._seconds)

    # The user's side

    async def add(self, endpoint: Endpoint) -> dict[str, str]:
        """Its id, and its secret, which is told this once. Raises Refused."""
        target = target_of(endpoint.url)
        await known_or_refused(target, self._allowed, self._seconds)
        secret = endpoint.secret or _SECRET + base64.b64encode(secrets.token_bytes(32)).decode()
        key_of(secret)
        if not endpoint.events or not all(EVENT.fullmatch(each.removesuffix("*") or "x") for each in endpoint.events):
            raise Refused(f"events: expected types of events, perhaps with a * at the end: {EVENT.pattern}")
        ident = f"ep_{secrets.token_urlsafe(12)}"
        row = (ident, endpoint.url, json.dumps(endpoint.events), secret)
        await self._do(lambda db: db.execute("INSERT INTO endpoints VALUES (?, ?, ?, ?)", row).rowcount)
        return {"id": ident, "secret": secret}

    async def all(self) -> list[dict[str, Any]]:
        """Without secrets."""

        def read(db: sqlite3.Connection) -> list[dict[str, Any]]:
            return [_told(*row) for row in db.execute("SELECT id, url, events FROM endpoints ORDER BY id")]

        return await self._do(read)

    async def remove(self, ident: str) -> bool:
        """Whether there was such a one."""
        return await self._do(lambda db: db.execute("DELETE FROM endpoints WHERE id = ?", (ident,)).rowcount) > 0

    async def _do(self, job: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.wrap_future(self._deliveries.keeper.do(job))


def _events(text: Any) -> list[str]:
    """Raises ValueError, TypeError, RecursionError."""
    return msgspec.convert(json.loads(text), list[str])


def _told(ident: Any, url: Any, events: Any) -> dict[str, Any]:
    told = {"id": shown(ident), "url": shown(url)}
    try:
        return {**told, "events": _events(events)}
    except (TypeError, ValueError, RecursionError) as error:
        return {**told, "events": [], "broken": f"events: {error}"}


def _fits(type_: str, wanted: str) -> bool:
    return type_.startswith(wanted[:-1]) if wanted.endswith("*") else type_ == wanted


def key_of(secret: str) -> bytes:
    """Raises Refused."""
    try:
        key = base64.b64decode(secret.removeprefix(_SECRET), validate=True)
    except ValueError:  # also for what is not ASCII
        key = b""
    if not secret.startswith(_SECRET) or len(key) not in _SECRET_BYTES:
        raise Refused("secret: expected whsec_ and 24 to 64 bytes in base64")
    return key


def signature(secret: str, ident: str, stamp: str, body: bytes) -> str:
    """`v1,` and the HMAC-SHA256 of id, timestamp and body."""
    digest = hmac.digest(key_of(secret), f"{ident}.{stamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"
