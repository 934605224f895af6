"""Host keys as lines of known_hosts."""

import base64
import hashlib

import pytest

from spanbridge.helpers.hosts.host_key import HostKey, known_hosts, read_key, read_keys
from spanbridge.protocol.problems import PROTOCOL_ERROR, Problem


def key(algorithm: str = "ssh-ed25519", rest: bytes = b"\0\0\0\x20" + bytes(32)) -> str:
    name = algorithm.encode()
    return base64.b64encode(len(name).to_bytes(4) + name + rest).decode()


GOOD = f"[far]:2222 ssh-ed25519 {key()}"


def test_a_key() -> None:
    found = read_key(GOOD)
    assert found == HostKey("[far]:2222", "ssh-ed25519", key())
    assert found.line == GOOD
    digest = base64.b64encode(hashlib.sha256(base64.b64decode(key())).digest()).decode().rstrip("=")
    assert found.fingerprint == f"SHA256:{digest}"


def test_the_name_does_not_matter_for_what_is_trusted() -> None:
    keys = read_keys(f"{GOOD}\nother ecdsa-sha2-nistp256 {key('ecdsa-sha2-nistp256')}\n\n")
    assert known_hosts(keys) == (f"* ssh-ed25519 {key()}\n* ecdsa-sha2-nistp256 {key('ecdsa-sha2-nistp256')}\n")


BAD = {
    "nothing": "",
    "blank": " \n\n",
    "two words": "far ssh-ed25519",
    "a comment": f"{GOOD} comment",
    "only a comment": "# far",
    "a marker": f"@cert-authority {GOOD}",
    "a marker as the name": f"@revoked ssh-ed25519 {key()}",
    "no base64": "far ssh-ed25519 ???",
    "another algorithm": f"far ssh-rsa {key()}",
    "an algorithm that is no name": f"far -o {key('-o')}",
    "control characters": f"far\x1b ssh-ed25519 {key()}",
    "17 lines": f"{GOOD}\n" * 17,
    "too long": f"{'x' * (16 << 10)} ssh-ed25519 {key()}",
    "one good, one bad": f"{GOOD}\nnonsense",
    "no text": "\ud800 ssh-ed25519 x",
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_key(case: str) -> None:
    with pytest.raises(Problem) as caught:
        read_keys(BAD[case])
    assert caught.value.code == PROTOCOL_ERROR
    assert "host-key" in caught.value.message
