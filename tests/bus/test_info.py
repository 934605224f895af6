"""Payload `info` (docs/internal-bus.md, "info")."""

import grp
import json
import os
import pwd
from pathlib import Path

import pytest

from spanbridge.os_release import read_os_release
from spanbridge.payloads.base import PAYLOADS
from spanbridge.payloads.bus.account import read_account
from spanbridge.testing.frames import encode_control
from spanbridge.testing.front_end import FrontEnd


def test_one_message_and_the_end(shared_front: FrontEnd, channel: str) -> None:
    shared_front.open(channel, "info")
    assert shared_front.expect("close", channel) == {"command": "close", "channel": channel}
    assert shared_front.commands(channel) == ["ready", "data", "done", "close"]
    told = json.loads(shared_front.of(channel)[1].payload)
    entry = pwd.getpwuid(os.getuid())
    assert set(told) == {"channels", "os_release", "user"}
    assert told["channels"] == {**{payload: [] for payload in PAYLOADS}, "fsreplace1": ["attrs"]}
    assert told["os_release"] == read_os_release()
    assert told["user"].pop("groups")[0] == told["user"]["group"]
    assert told["user"] == {
        "fullname": entry.pw_gecos.partition(",")[0],
        "gid": entry.pw_gid,
        "group": grp.getgrgid(entry.pw_gid).gr_name,
        "home": entry.pw_dir,
        "name": entry.pw_name,
        "shell": entry.pw_shell,
        "uid": entry.pw_uid,
    }


def test_the_id_is_free_afterwards(shared_front: FrontEnd, channel: str) -> None:
    for _ in range(3):
        shared_front.open(channel, "info")
        shared_front.expect("close", channel)
    assert shared_front.commands(channel) == ["ready", "data", "done", "close"] * 3


def test_a_channel_that_is_closed_at_once(shared_front: FrontEnd, channel: str) -> None:
    messages = [
        {"command": "open", "channel": channel, "payload": "info"},
        {"command": "close", "channel": channel},
        {"command": "open", "channel": channel, "payload": "null"},
    ]
    shared_front.write(b"".join(map(encode_control, messages)))  # one read for the bridge
    shared_front.sync()
    assert shared_front.commands(channel) == ["ready", "ready"]


def test_a_user_that_the_database_does_not_know() -> None:
    """As in a container that was given a number."""
    nobody = next(uid for uid in range(60_000, 2**31) if not _is_known(uid))
    account = read_account({"USER": "mary", "HOME": "/srv", "SHELL": "/bin/dash"}, nobody)
    assert (account.name, account.full_name, account.uid) == ("mary", "mary", nobody)
    assert (account.home, account.shell, account.gid) == ("/srv", "/bin/dash", os.getgid())
    account = read_account({}, nobody)
    assert (account.name, account.home, account.shell) == (str(nobody), "/", "/bin/sh")


def _is_known(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def test_what_the_database_says_of_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = b"J\xf6rg".decode(errors="surrogateescape")
    entry = pwd.struct_passwd(("joe", "x", 5, 100, f"{odd},room 1,,", "/home/joe", "/bin/zsh"))
    names = {100: "users", 7: "seven"}

    def group(gid: int) -> grp.struct_group:
        return grp.struct_group((names[gid], "x", gid, []))

    monkeypatch.setattr(pwd, "getpwuid", lambda uid: entry)
    monkeypatch.setattr(grp, "getgrgid", group)
    monkeypatch.setattr(os, "getgrouplist", lambda name, gid: [7, gid, 12, 7])
    account = read_account({}, 5)
    assert account.full_name == "J\N{REPLACEMENT CHARACTER}rg"
    assert account.groups == ("users", "seven", "12")
    assert Path(account.home) == Path("/home/joe")
