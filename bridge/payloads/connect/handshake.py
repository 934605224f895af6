"""The TLS handshake of a client on a non-blocking socket, and what its failures mean."""

import socket
import ssl
from typing import Any, Final

import anyio

from spanbridge.protocol.frames import Buffer
from spanbridge.protocol.problems import (
    AUTHENTICATION_FAILED,
    DISCONNECTED,
    PROTOCOL_ERROR,
    UNKNOWN_HOSTKEY,
    Problem,
)

from ..base import Services
from .target import Target

_CERTIFICATE: Final = 11  # types of handshake messages (RFC 8446, 4)
_CERTIFICATE_REQUEST: Final = 13
_HANDSHAKE: Final = 22  # type of record

_REFUSALS: Final = (
    "ALERT_BAD_CERTIFICATE",
    "ALERT_UNSUPPORTED_CERTIFICATE",
    "ALERT_CERTIFICATE_REVOKED",
    "ALERT_CERTIFICATE_EXPIRED",
    "ALERT_CERTIFICATE_UNKNOWN",
    "ALERT_UNKNOWN_CA",
    "ALERT_ACCESS_DENIED",
    "ALERT_CERTIFICATE_REQUIRED",
)
"""Ends of the reasons with which a server refuses the certificate of a client, or misses one."""

_NO_CERTIFICATE: Final = "ALERT_HANDSHAKE_FAILURE"
"""What TLS 1.2 says then; it says so of much else too."""


class Witness:
    """What the server showed and wanted in one handshake."""

    def __init__(self) -> None:
        self.certificate: bytes | None = None  # its leaf, DER
        self.asked = False  # for a certificate of ours

    def saw(self, message: int, data: bytes, *, of_tls13: bool) -> None:
        """The server has sent a message of the handshake, of this type."""
        if message == _CERTIFICATE_REQUEST:
            self.asked = True
        elif message == _CERTIFICATE:
            self.certificate = _leaf(data, of_tls13=of_tls13)


def _leaf(message: bytes, *, of_tls13: bool) -> bytes | None:
    """The first certificate of a Certificate message (RFC 8446, 4.4.2; RFC 5246, 7.4.2); None if it has none."""
    begin = 4  # type and length
    if of_tls13:
        begin += 1 + int.from_bytes(message[begin : begin + 1])  # the context
    begin += 3  # the length of the list
    size = int.from_bytes(message[begin : begin + 3])
    return message[begin + 3 : begin + 3 + size] or None


class TlsSocket:
    """Has of a socket what moving bytes needs. What would block raises BlockingIOError, as with plain sockets."""

    __slots__ = ("_sock", "_target", "_witness")

    def __init__(self, sock: ssl.SSLSocket, target: Target, witness: Witness) -> None:
        self._sock = sock
        self._target = target
        self._witness = witness

    def fileno(self) -> int:
        return self._sock.fileno()

    def recv(self, nbytes: int) -> bytes:
        """Raises OSError, and Problem for a certificate of ours that the server refuses: it may do so late."""
        try:
            return self._sock.recv(nbytes)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None
        except ssl.SSLError as error:
            if _is_refusal(error, self._witness):
                raise problem_of(error, self._target, self._witness) from None
            raise

    def send(self, data: Buffer) -> int:
        """Raises OSError."""
        try:
            return self._sock.send(data)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None

    @property
    def pending(self) -> bool:
        """Whether there is more to be received than the descriptor tells."""
        return self._sock.pending() > 0

    def close(self) -> None:
        self._sock.close()


_ENDED: Final = "UNEXPECTED_EOF_WHILE_READING"  # of which some versions of Python make no SSLEOFError


class TlsContext:
    """A context that tells of each handshake what the server showed: the library does so of a certificate that it
    refuses in no other way."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._witnesses: dict[Any, Witness] = {}  # of handshakes under way

    def wrap(self, sock: socket.socket, name: str) -> tuple[ssl.SSLSocket, Witness]:
        """`sock` for a handshake with the server called `name`; `over` is due."""
        self._context._msg_callback = self._saw  # type: ignore[attr-defined]
        # Ragged: a body that goes on to the end of the connection is not whole without the end that TLS tells.
        wrapped = self._context.wrap_socket(
            sock, server_hostname=name, do_handshake_on_connect=False, suppress_ragged_eofs=False
        )
        witness = self._witnesses[wrapped] = Witness()
        return wrapped, witness

    def over(self, wrapped: ssl.SSLSocket) -> None:
        """Its handshake has ended."""
        del self._witnesses[wrapped]
        if not self._witnesses:  # it would be called for each record of data
            self._context._msg_callback = None  # type: ignore[attr-defined]

    def _saw(self, conn: Any, direction: str, version: Any, kind: Any, message: Any, data: bytes) -> None:
        witness = self._witnesses.get(conn)
        if witness is not None and direction == "read" and kind == _HANDSHAKE:
            witness.saw(message, data, of_tls13=version == ssl.TLSVersion.TLSv1_3)


async def handshake(sock: socket.socket, context: TlsContext, target: Target, services: Services) -> TlsSocket:
    """`sock` with TLS. It belongs to what is returned, and is closed if this fails.

    Raises Problem: `unknown-hostkey` with `rejected-certificate`, `authentication-failed`, `protocol-error`,
    `disconnected`.
    """
    try:
        wrapped, witness = context.wrap(sock, _checked_name(target))
    except (OSError, ValueError) as error:
        sock.close()
        raise Problem(PROTOCOL_ERROR, f"{target}: no TLS: {error}") from None
    try:
        await _shake(wrapped, services)
    except OSError as error:
        wrapped.close()
        raise problem_of(error, target, witness) from None
    except BaseException:
        wrapped.close()
        raise
    finally:
        context.over(wrapped)
    return TlsSocket(wrapped, target, witness)


def _checked_name(target: Target) -> str:
    """The name that the certificate must have; sent to the server (SNI) if it is none of an address."""
    return target.address.partition("%")[0].rstrip(".") or target.address


async def _shake(sock: ssl.SSLSocket, services: Services) -> None:
    poller = services.context.poller
    while True:
        try:
            sock.do_handshake()
            return
        except ssl.SSLWantReadError:
            watch = poller.watch_read
        except ssl.SSLWantWriteError:
            watch = poller.watch_write
        event, fd = anyio.Event(), sock.fileno()
        watch(fd, event.set)
        try:
            await event.wait()
        finally:
            watch(fd, None)


def problem_of(error: OSError, target: Target, witness: Witness) -> Problem:
    """What a failed handshake is to the front end."""
    if isinstance(error, ssl.SSLCertVerificationError):
        der = witness.certificate
        told = {} if der is None else {"rejected-certificate": ssl.DER_cert_to_PEM_cert(der)}
        return Problem(UNKNOWN_HOSTKEY, f"{target}: {error.verify_message}", **told)
    ended = isinstance(error, ssl.SSLZeroReturnError | ssl.SSLEOFError) or (
        isinstance(error, ssl.SSLError) and error.reason == _ENDED
    )
    if ended or not isinstance(error, ssl.SSLError):
        words = error.strerror if not isinstance(error, ssl.SSLError) else None
        return Problem(DISCONNECTED, f"{target}: the connection ended in the TLS handshake: {words or 'end of file'}")
    words = _words(error)
    if _is_refusal(error, witness):
        return Problem(AUTHENTICATION_FAILED, f"{target}: the server refuses our certificate, or misses one: {words}")
    return Problem(PROTOCOL_ERROR, f"{target}: no TLS: {words}")


def _is_refusal(error: ssl.SSLError, witness: Witness) -> bool:
    reason = error.reason or ""
    return reason.endswith(_REFUSALS) or (witness.asked and reason.endswith(_NO_CERTIFICATE))


def _words(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()
