"""Pings of one channel that wait: for what came before them to be taken, or for `ready`, which is the first word."""

from spanbridge.protocol.control import pong, read_object
from spanbridge.protocol.flow import Ledger
from spanbridge.protocol.frames import control_payload
from spanbridge.protocol.problems import PROTOCOL_ERROR, Problem

from ...limits import Limits
from ...log import Log
from ..base import Port


class Pings:
    """They are bounded in number (`channel_pings`) and in bytes (`channel_queue_bytes`)."""

    __slots__ = ("_bytes", "_early", "_is_ready", "_limits", "_log", "_number", "_port")

    def __init__(self, port: Port, limits: Limits, log: Log, *, is_ready: bool) -> None:
        self._port = port
        self._limits = limits
        self._log = log
        self._is_ready = is_ready
        self._early: list[bytes] = []
        self._number = 0
        self._bytes = 0

    @property
    def early(self) -> bool:
        """Whether some wait for `ready`."""
        return bool(self._early)

    def came(self, ping: bytes, ledger: Ledger | None) -> None:
        """A frame with one: it is answered once what the ledger has is taken. Raises Problem: too much waits."""
        self._number += 1
        self._bytes += len(ping)
        self._check("channel_pings", self._number, self._limits.channel_pings, "pings")
        self._check("channel_queue_bytes", self._bytes, self._limits.channel_queue_bytes, "bytes of pings")
        if ledger is not None:
            ledger.then(lambda: self._answer(ping))
        else:
            self._answer(ping)

    def _check(self, name: str, found: int, most: int, what: str) -> None:
        if found > most:
            self._log.limit(name, most)
            raise Problem(PROTOCOL_ERROR, f"more than {most} {what} wait for their pongs ({name})")

    def ready(self) -> None:
        """`ready` was said."""
        self._is_ready = True
        early, self._early = self._early, []
        for ping in early:
            self._answer(ping)

    def _answer(self, ping: bytes) -> None:
        if not self._is_ready:
            self._early.append(ping)
            return
        self._number -= 1
        self._bytes -= len(ping)
        self._port.forward(pong(read_object(control_payload(ping))))
