"""Web Push: encrypted so that the browser can read it, signed so that its service takes it."""

import asyncio
import base64
import json
import os
import re
import sys
from pathlib import Path
from unittest.mock import Mock

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from py_vapid import Vapid02

from spanbridge.extensions.services import push

from .receiver import receiving
from .site import Site, wait_until

SOURCE = """
def init(router, services):
    @router.post("/push")
    def push(req):
        return {"to": services.send_push_notification(req.body, ttl=60, urgency="high")}
"""
SUBSCRIPTIONS = "/api/extensions/push/subscriptions"


def packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_a_notification_arrives(site: Site) -> None:
    site.extension("notes", SOURCE)
    page = site.session(extension_delivery_allow="127.0.0.0/8")
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    auth = b"0123456789abcdef"
    with receiving() as receiver:
        receiver.answers = [(201, {}), (410, {})]
        subscription = {"endpoint": f"{receiver.url}/x", "keys": {"p256dh": packed(public), "auth": packed(auth)}}
        assert page("POST", SUBSCRIPTIONS, {**subscription, "expirationTime": None}).status == 201
        assert page("POST", SUBSCRIPTIONS, subscription).status == 201
        (told,) = page.get(SUBSCRIPTIONS).json["subscriptions"]
        assert told["endpoint"] == f"{receiver.url}/x"
        notification = {"title": "Disk", "body": "full", "url": "/disk"}
        assert page("POST", "/api/ext/notes/push", notification).json == {"to": 1}
        got = receiver.take()
        clear = http_ece.decrypt(got.body, private_key=private, auth_secret=auth, version="aes128gcm")
        assert json.loads(clear) == notification
        assert (got.headers["ttl"], got.headers["urgency"]) == ("60", "high")
        assert got.headers["content-encoding"] == "aes128gcm"
        key = page.get("/api/extensions/push/key").json["key"]
        assert f"k={key}" in got.headers["authorization"]
        assert Vapid02.verify(got.headers["authorization"])
        # The browser has unsubscribed.
        page("POST", "/api/ext/notes/push", notification)
        receiver.take()
        wait_until(lambda: page.get(SUBSCRIPTIONS).json == {"subscriptions": []}, "the subscription to be dropped")


@pytest.mark.parametrize("notification", [{}, {"title": 1}, {"title": "x", "icon": "y"}, {"title": "x" * 4000}])
def test_what_is_refused(shared: Site, notification: dict[str, object]) -> None:
    shared.extension("notes", SOURCE)
    assert shared.session()("POST", "/api/ext/notes/push", notification).status == 500


def test_subscriptions_that_are_refused(shared: Site) -> None:
    page = shared.session()
    good = {"p256dh": packed(b"\4" * 65), "auth": packed(b"x" * 16)}
    for wrong in (
        {},
        {"endpoint": "https://8.8.8.8/"},
        {"endpoint": "http://127.0.0.1/", "keys": good},
        {"endpoint": "https://8.8.8.8/", "keys": {**good, "auth": "!"}},
        {"endpoint": "https://8.8.8.8/", "keys": {**good, "p256dh": packed(b"x")}},
    ):
        assert page("POST", SUBSCRIPTIONS, wrong).error == (400, "bad-request")
    assert page("DELETE", f"{SUBSCRIPTIONS}/absent").status == 404


def test_without_the_extra_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in ("cryptography", "http_ece", "py_vapid")]:
        monkeypatch.setitem(sys.modules, name, None)
    pushes = push.Push(str(tmp_path), Mock(), Mock(), 1, "")
    with pytest.raises(RuntimeError, match=r"spanbridge\[push\]"):
        asyncio.run(pushes.key())


@pytest.mark.parametrize("damage", ["FIFO", "directory", "link", "half", "no text", "another key"])
def test_a_key_that_is_damaged_is_told_and_stays(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "vapid.pem"
    asyncio.run(push.Push(str(tmp_path), Mock(), Mock(), 1.0, "").key())
    whole = path.read_bytes()
    path.unlink()
    match damage:
        case "FIFO":
            os.mkfifo(path)
        case "directory":
            path.mkdir()
        case "link":
            path.symlink_to("absent")
        case "half":
            path.write_bytes(whole[:90])
        case "no text":
            path.write_bytes(b"\xff\0")
        case "another key":
            key = ed25519.Ed25519PrivateKey.generate()
            path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    before = path.lstat()
    with pytest.raises(RuntimeError, match=re.escape(f"{path}: ")):
        asyncio.run(push.Push(str(tmp_path), Mock(), Mock(), 1.0, "").key())
    assert os.path.samestat(path.lstat(), before)


def test_two_who_ask_at_once_are_told_one_key(tmp_path: Path) -> None:
    """A browser that had subscribed with another one could never be reached."""
    sender = push.Push(str(tmp_path), Mock(), Mock(), 1.0, "mailto:one@localhost")

    async def ask() -> set[str]:
        return set(await asyncio.gather(*[sender.key() for _ in range(6)]))

    assert len(asyncio.run(ask())) == 1
