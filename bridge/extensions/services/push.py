"""Web Push: notifications to the user's browsers (RFC 8030, 8291, 8292). Needs the extra `push`."""

import asyncio
import base64
import binascii
import os
import secrets
import sqlite3
import threading
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from spanbridge.manifests.raw import DefectError, read_bytes

from ..files import open_own, too_large
from .addresses import Allowed, Refused, known_or_refused, target_of
from .attempt import attempt
from .deliveries import Deliveries, Delivery, shown
from .outcome import Outcome

KIND: Final = "push"
_KEY: Final = "vapid.pem"
_KEY_BYTES: Final = 64 << 10
_NOTIFICATION_BYTES: Final = 3_000  # a message of 4 KiB with all that encrypting adds
_URGENCIES: Final = ("very-low", "low", "normal", "high")
_TTL_MOST: Final = 28 * 86_400
_MISSING: Final = "Web Push needs spanbridge[push]: http-ece and py-vapid are not installed"


class Notification(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a service worker shows."""

    title: str
    body: str = ""
    url: str = ""
    tag: str = ""


class Keys(msgspec.Struct, frozen=True):
    p256dh: str
    auth: str


class Subscription(msgspec.Struct, frozen=True):
    """As a browser's `PushSubscription.toJSON()` gives it."""

    endpoint: str
    keys: Keys


class Push:
    """Encrypts for each browser, and signs with a key that is made once."""

    def __init__(self, directory: str, deliveries: Deliveries, allowed: Allowed, seconds: float, contact: str) -> None:
        """`seconds`: how long one attempt may take."""
        self._key_file = os.path.join(directory, _KEY)
        self._deliveries = deliveries
        self._allowed = allowed
        self._seconds = seconds
        self._contact = contact
        self._vapid: Any = None
        self._making = threading.Lock()
        deliveries.send_with(KIND, "subscriptions", self._send)

    def send(self, extension: str, notification: Any, ttl: int, urgency: str, origin: str | None = None) -> int:
        """To how many browsers; on disk when it returns. From the thread of a desk.

        Raises ValueError; RuntimeError without the extra, or TooMany.
        """
        _libraries()
        try:
            told = msgspec.convert(notification, Notification)
        except msgspec.ValidationError as error:
            raise ValueError(f"the notification: {error}") from None
        body = msgspec.json.encode(told)
        if len(body) > _NOTIFICATION_BYTES:
            raise ValueError(f"the notification: {len(body)} bytes, expected at most {_NOTIFICATION_BYTES}")
        if not 0 <= ttl <= _TTL_MOST or urgency not in _URGENCIES:
            raise ValueError(f"expected a ttl up to {_TTL_MOST}, and an urgency of {', '.join(_URGENCIES)}")
        options = {"ttl": ttl, "urgency": urgency}

        def put(db: sqlite3.Connection) -> int:
            targets = [ident for (ident,) in db.execute("SELECT id FROM subscriptions")]
            return self._deliveries.put(db, KIND, targets, f"{extension}.push", body, options, origin)

        return self._deliveries.keeper.do(put).result()

    async def _send(self, delivery: Delivery, subscription: Mapping[str, Any]) -> Outcome:
        try:
            ece, _ = _libraries()
            headers, body = await asyncio.to_thread(self._sealed, ece, delivery, subscription)
        except (RuntimeError, ValueError) as error:
            return Outcome(0, str(error))
        return await attempt(target_of(subscription["endpoint"]), headers, body, self._allowed, self._seconds)

    def _sealed(self, ece: Any, delivery: Delivery, subscription: Mapping[str, Any]) -> tuple[dict[str, str], bytes]:
        """Raises ValueError."""
        from cryptography.hazmat.primitives.asymmetric import ec

        target = target_of(subscription["endpoint"])
        body = ece.encrypt(
            delivery.body,
            private_key=ec.generate_private_key(ec.SECP256R1()),
            dh=_unpacked(subscription["p256dh"]),
            auth_secret=_unpacked(subscription["auth"]),
            version="aes128gcm",
        )
        scheme = "https" if target.secure else "http"
        signed = self._signer().sign({"sub": self._contact, "aud": f"{scheme}://{target.authority}"})
        headers = {
            "Authorization": signed["Authorization"],
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(delivery.options["ttl"]),
            "Urgency": delivery.options["urgency"],
        }
        return headers, body

    # The user's side

    async def key(self) -> str:
        """What a browser subscribes with: `applicationServerKey`. Raises RuntimeError."""
        return await asyncio.to_thread(self._public_key)

    def _public_key(self) -> str:
        signer = self._signer()  # says what is missing, where the extra is
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        public = signer.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return base64.urlsafe_b64encode(public).rstrip(b"=").decode()

    def _signer(self) -> Any:
        """Raises RuntimeError."""
        with self._making:  # two who ask at once must not be told two keys, of which one is then lost
            if self._vapid is None:
                _, vapid = _libraries()
                if not os.path.lexists(self._key_file):
                    self._make_key(vapid)
                self._vapid = self._read_key(vapid)
            return self._vapid

    def _read_key(self, vapid: Any) -> Any:
        """Raises RuntimeError: another one in place of what is damaged would lose all browsers, unseen."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric import ec

        if why := too_large(self._key_file, _KEY_BYTES):
            raise RuntimeError(why)
        try:
            data = read_bytes(self._key_file, _KEY_BYTES)
            signer = vapid.from_pem(data) if b"-----BEGIN" in data else vapid.from_der(data)
            if isinstance(signer.private_key, ec.EllipticCurvePrivateKey):
                return signer
            why = "found another kind of key"
        except DefectError as error:
            raise RuntimeError(str(error)) from None
        except (ValueError, TypeError, UnsupportedAlgorithm, OSError) as error:
            why = str(error)
        raise RuntimeError(f"{self._key_file}: {why}; expected the key of pushes (an EC key on P-256, in PEM)")

    def _make_key(self, vapid: Any) -> None:
        made = vapid()
        made.generate_keys()
        new = f"{self._key_file}.{secrets.token_hex(4)}"
        fd = open_own(new, os.O_WRONLY | os.O_EXCL)
        with open(fd, "wb") as file:
            file.write(made.private_pem())
            file.flush()
            os.fsync(fd)
        os.replace(new, self._key_file)

    async def add(self, subscription: Subscription) -> str:
        """Its id; that of before, if there is one for the endpoint. Raises Refused, RuntimeError."""
        _libraries()
        target = target_of(subscription.endpoint)
        if len(_unpacked(subscription.keys.p256dh)) != 65 or len(_unpacked(subscription.keys.auth)) != 16:
            raise Refused("keys: expected p256dh of 65 bytes and auth of 16, in base64url")
        await known_or_refused(target, self._allowed, self._seconds)

        def put(db: sqlite3.Connection) -> str:
            row = (
                f"sub_{secrets.token_urlsafe(12)}",
                subscription.endpoint,
                subscription.keys.p256dh,
                subscription.keys.auth,
            )
            (ident,) = db.execute(
                "INSERT INTO subscriptions VALUES (?, ?, ?, ?) ON CONFLICT (endpoint)"
                " DO UPDATE SET p256dh = excluded.p256dh, auth = excluded.auth RETURNING id",
                row,
            ).fetchone()
            return str(ident)

        return await asyncio.wrap_future(self._deliveries.keeper.do(put))

    async def all(self) -> list[dict[str, str]]:
        def read(db: sqlite3.Connection) -> list[dict[str, str]]:
            rows = db.execute("SELECT id, endpoint FROM subscriptions ORDER BY id")
            return [{"id": shown(ident), "endpoint": shown(endpoint)} for ident, endpoint in rows]

        return await asyncio.wrap_future(self._deliveries.keeper.do(read))

    async def remove(self, which: str) -> bool:
        """By id or endpoint; whether there was such a one."""

        def drop(db: sqlite3.Connection) -> int:
            return db.execute("DELETE FROM subscriptions WHERE id = ? OR endpoint = ?", (which, which)).rowcount

        return await asyncio.wrap_future(self._deliveries.keeper.do(drop)) > 0


def _libraries() -> tuple[Any, Any]:
    """Raises RuntimeError."""
    try:
        import http_ece
        from py_vapid import Vapid02
    except ImportError:
        raise RuntimeError(_MISSING) from None
    return http_ece, Vapid02


def _unpacked(text: str) -> bytes:
    """Raises Refused."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise Refused("keys: expected base64url") from None
