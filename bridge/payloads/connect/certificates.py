"""From what an open says of TLS to certificates, keys and authorities (docs/http.md, "TLS").

Certificates and keys are read here, with the rights of this process, so that no library asks a terminal for a pass
phrase or opens what is no file. `context_of` blocks: it is for a thread.
"""

import errno
import os
import ssl
import stat
from typing import Final

from spanbridge.protocol.problems import (
    ACCESS_DENIED,
    INTERNAL_ERROR,
    NOT_FOUND,
    PROTOCOL_ERROR,
    Problem,
)

from .tls import Pem, Tls

PEM_BYTES: Final = 1 << 20
"""Longest file of certificates or keys."""

CODES: Final = {
    errno.ENOENT: NOT_FOUND,
    errno.ENOTDIR: NOT_FOUND,
    errno.ENAMETOOLONG: NOT_FOUND,
    errno.EACCES: ACCESS_DENIED,
    errno.EPERM: ACCESS_DENIED,
}
"""What it means that a file cannot be opened. All others are INTERNAL_ERROR."""


def context_of(tls: Tls) -> ssl.SSLContext:
    """For connections with these options. It reads files, and takes 30 ms for the authorities of the system.

    Raises Problem: `not-found` or `access-denied` for a file, `protocol-error` for what is in it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Some versions of Python set it: what ends without the end that TLS tells would be taken for whole.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # writing never has to wait for something to be read
    context.hostname_checks_common_name = True  # where the certificate has no subjectAltName
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # an authority need not be a CA
    if not tls.validate:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.authority is not None:
        _trust(context, tls.authority)
    elif tls.validate:
        context.load_default_certs()
    if tls.certificate is not None:
        _show(context, tls.certificate, tls.key)
    return context


def _trust(context: ssl.SSLContext, authority: Pem) -> None:
    text = _read(authority, "authority")
    try:
        context.load_verify_locations(cadata=text.decode("ascii", "ignore"))
    except (ssl.SSLError, ValueError) as error:
        raise _bad("authority", f"expected certificates in PEM: {_words(error)}") from None


def _show(context: ssl.SSLContext, certificate: Pem, key: Pem | None) -> None:
    """The library reads these from files alone: they are given as files that exist in memory only."""
    shown = _read(certificate, "certificate")
    secret = shown if key is None else _read(key, "key")
    if b"-----BEGIN CERTIFICATE-----" not in shown:
        raise _bad("certificate", "expected a certificate in PEM")
    if b"PRIVATE KEY-----" not in secret:
        raise _bad("certificate" if key is None else "key", "expected a private key in PEM")
    held = [_in_memory(shown), _in_memory(secret)]
    try:
        shown_at, secret_at = (f"/proc/self/fd/{fd}" for fd in held)
        # A key with a pass phrase cannot be used: nobody is there to be asked, least of all the terminal.
        context.load_cert_chain(shown_at, secret_at, password=str)
    except (ssl.SSLError, ValueError) as error:
        where = "certificate" if key is None else "key"
        raise _bad(where, f"expected the private key of the certificate, in PEM: {_words(error)}") from None
    finally:
        for fd in held:
            os.close(fd)


def _in_memory(data: bytes) -> int:
    fd = os.memfd_create("pem")
    with open(fd, "wb", closefd=False) as file:
        file.write(data)
    return fd


def _read(pem: Pem, member: str) -> bytes:
    if pem.file is None:
        return (pem.data or "").encode("utf-8", "surrogatepass")
    try:
        # Non-blocking, for what turns out to be a pipe.
        fd = os.open(os.fsencode(pem.file), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise _bad(member, f"{pem.file}: expected a file")
            with open(fd, "rb", closefd=False) as file:
                data = file.read(PEM_BYTES + 1)
        finally:
            os.close(fd)
    except OSError as error:
        code = CODES.get(error.errno or 0, INTERNAL_ERROR)
        raise Problem(code, f'"{member}" of "tls": {pem.file}: {error.strerror or error}') from None
    if len(data) > PEM_BYTES:
        raise _bad(member, f"{pem.file}: expected at most {PEM_BYTES} bytes")
    return data


def _bad(member: str, what: str) -> Problem:
    return Problem(PROTOCOL_ERROR, f'"{member}" of "tls": {what}')


def _words(error: Exception) -> str:
    """What the library says, without the place in its source."""
    reason = getattr(error, "reason", None)
    return str(reason).replace("_", " ").lower() if reason else str(error).partition(" (")[0]
