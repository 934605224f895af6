"""What a program's environment is, and where it is found."""

import os
from collections.abc import Iterable, Mapping
from typing import Final

from spanbridge.protocol.problems import PROTOCOL_ERROR, Problem

from ..base import Services
from ..bus.account import account

_OURS_ALONE: Final = "COCKPIT_LOGIN_MESSAGES_MEMFD"  # the number of a descriptor that programs do not have


def encode(text: str) -> bytes:
    """For the system: UTF-8 whatever the locale; lone surrogates U+DC80..U+DCFF are the bytes they stand for."""
    return text.encode("utf-8", "surrogateescape")


def program_environ(services: Services, extra: Iterable[str]) -> dict[bytes, bytes]:
    """The bridge's variables, those of the account that it runs as, and `extra`: NAME=VALUE, the last of a name counts.

    Raises Problem (`protocol-error`) for one of `extra` that has no name or no `=`.
    """
    user = services.once(account)
    services.context.before_programs()
    environ = {os.fsencode(name): os.fsencode(value) for name, value in services.environ.items() if name != _OURS_ALONE}
    environ |= {b"HOME": encode(user.home), b"SHELL": encode(user.shell), b"USER": encode(user.name)}
    for entry in extra:
        name, equals, value = entry.partition("=")
        if not name or not equals:
            raise Problem(PROTOCOL_ERROR, '"environ" of stream: expected entries like NAME=VALUE')
        environ[encode(name)] = encode(value)
    return environ


def candidates(program: bytes, environ: Mapping[bytes, bytes]) -> list[bytes]:
    """Where `program` may be: itself if it has a slash, else in each directory of the environment's PATH."""
    if b"/" in program:
        return [program]
    path = environ.get(b"PATH", os.fsencode(os.defpath))
    return [os.path.join(directory, program) for directory in path.split(b":")]
