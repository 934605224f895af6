"""What an extension's process and its host tell one another, as data. What does not fit is not the protocol."""

from typing import Any

import msgspec


class _Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    pass


# From the host


class Request(_Message, frozen=True, tag="request"):
    """A handler is to be called. `query` and `path` as they came, below the mount; `user` is name and uid."""

    id: int
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    user: tuple[str, int]


class Cancel(_Message, frozen=True, tag="cancel"):
    """Nobody waits for the answer any more. `late`: it took too long."""

    id: int
    late: bool


class Credit(_Message, frozen=True, tag="credit"):
    """So many bytes of the answer were taken; as many more may be sent."""

    id: int
    nbytes: int


class Ping(_Message, frozen=True, tag="ping"):
    number: int


class Stop(_Message, frozen=True, tag="stop"):
    """No more requests; end when those under way are answered."""


FromHost = Request | Cancel | Credit | Ping | Stop

# From the extension


class Ready(_Message, frozen=True, tag="ready"):
    """`init` has returned."""

    name: str
    version: str


class Failed(_Message, frozen=True, tag="failed"):
    """It cannot start; the text says why."""

    why: str


class Response(_Message, frozen=True, tag="response"):
    """The head of an answer. `body` is the beginning of its body, `over`: all of it, and the handler has returned."""

    id: int
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    over: bool


class Data(_Message, frozen=True, tag="data"):
    """More of the body."""

    id: int
    data: bytes


class Done(_Message, frozen=True, tag="done"):
    """The body is over."""

    id: int


class Broken(_Message, frozen=True, tag="broken"):
    """The body ends here, and should not."""

    id: int


class Ended(_Message, frozen=True, tag="ended"):
    """The handler has returned."""

    id: int


class Stuck(_Message, frozen=True, tag="stuck"):
    """What was to be cancelled cannot be."""

    id: int


class Pong(_Message, frozen=True, tag="pong"):
    number: int


FromExtension = Ready | Failed | Response | Data | Done | Broken | Ended | Stuck | Pong

# Calls of the host


class Call(_Message, frozen=True):
    """`call`: the request whose handler calls, 0 outside of one. `lane`: which thread of its process."""

    seq: int
    call: int
    lane: int
    operation: str
    arguments: list[Any]


class Reply(_Message, frozen=True):
    """`error`, if it failed: its kind ("sqlite", "value", "error"), its code, and what happened."""

    seq: int
    value: Any
    error: tuple[str, str, str] | None = None


WINDOW = 256 << 10
"""Bytes of an answer that may be under way before credit is waited for."""
PIECE = 64 << 10
"""Longest data of one message, and of one frame to the front end."""

encode = msgspec.msgpack.Encoder().encode
decode_from_host = msgspec.msgpack.Decoder(FromHost).decode
decode_from_extension = msgspec.msgpack.Decoder(FromExtension).decode
decode_call = msgspec.msgpack.Decoder(Call).decode
decode_reply = msgspec.msgpack.Decoder(Reply).decode
