"""`spanbridge explain` of an open for another host that no rule takes: the command of ssh, and who answers."""

import json
from pathlib import Path

import pytest

from spanbridge.testing.home import Home

from .explaining import explain, require_ssh


def test_a_connection(home: Home) -> None:
    require_ssh()
    told = explain(home, "payload=echo", "host=bob@far:2222", "password=sesam").stdout
    assert 'Served by a bridge on "bob@far:2222", over ssh, shared by all opens with this host and user' in told
    assert "-p 2222 -l bob -- far 'exec sh -c" in told
    assert "password: the one of the open, once" in told
    assert "StrictHostKeyChecking=yes" in told


def test_a_private_connection_without_a_password(home: Home) -> None:
    require_ssh()
    told = explain(home, "payload=echo", "host=far", "session=private").stdout
    assert "of its own (session: private)" in told
    assert "PasswordAuthentication=no" in told


def test_as_json(home: Home) -> None:
    require_ssh()
    (told,) = json.loads(explain(home, "--json", "payload=echo", "host=far").stdout)["opens"]
    assert told["served"]["by"] == "host"
    assert told["served"]["far"]["argv"][-2] == "far"


@pytest.mark.parametrize(("host", "problem"), [("-v", "no-host"), ("a b", "no-host")])
def test_a_name_that_is_none(home: Home, host: str, problem: str) -> None:
    done = explain(home, "payload=echo", f"host={host}")
    assert f"closes with {problem}" in done.stdout


def test_without_ssh(home: Home, tmp_path: Path) -> None:
    told = explain(home, "payload=echo", "host=far", environ={**home.environ, "PATH": str(tmp_path)}).stdout
    assert "ssh: No such file or directory: the OpenSSH client is needed here" in told


def test_where_no_connections_are_made(home: Home) -> None:
    assert "closes with no-host" in explain(home, "--set", "hosts=0", "payload=echo", "host=far").stdout
